// Package page is what a browser finds in a page while it arrives, and how the page looks to a person. It is pure: what
// is requested, when and how is the loader's business.
//
// Scan reads HTML as it arrives and tells what to request; ParseSheet reads style sheets; Style, asked when the tree and
// the sheets are complete, says which images and fonts the styles of the page's elements need; Milestones tells when
// DOMContentLoaded and load are reached. Parse builds the tree, of which Title, Headings, Links, Forms and Content's
// Text and DOM tell what a person sees; Form fills forms in and makes their requests.
//
// The aim is the set of requests that Chromium makes with a viewport of 1280×720 CSS pixels; what it was seen to make is in
// testdata/chromium. Nothing is laid out and no script is run, so this is different:
//   - How far down a lazy image or frame stands is guessed from the heights that attributes name and the length of
//     texts. Those within 1250 pixels below the viewport are loaded, frames within 2500. Nothing scrolls, so the others
//     never are.
//   - Rules of container queries never apply. @supports takes every declaration for supported. Words that are not a
//     property's are not noticed, so such a declaration overrides the one before it.
//   - Styles are computed once, at the end, where Chromium computes them whenever it paints.
//   - Pseudo-classes of what a person does (:hover, :focus, :target) never match.
//   - What scripts would load is not seen, nor the modules that a module imports. Where the browser runs no scripts,
//     what stands in noscript is part of the page; Options.Scripting leaves it out, as Chromium does.
//   - A shadow root's style sheets apply to the whole document.
//   - No fonts of the system are known: local() sources are passed over. Of a font's files the first in a format that is
//     read is loaded.
//   - Of icons one is loaded; Chromium goes on until one has the size that it needs.
package page
