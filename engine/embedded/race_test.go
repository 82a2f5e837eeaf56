//go:build race

package embedded_test

// raceDetector says that everything takes about ten times as long.
const raceDetector = true
