// Package ws has the WebSockets that roles use (RFC 6455): they tell what happens to them as events.
//
// [Serve] and [Accept] are the server's side, [Dialer] is the client's. The protocol is package websocket's; between it and
// the connection stands a stream, which sees the bytes go by: the request and the response of the handshake as they are, and
// then every frame, pings and fragments too. A [Conn] takes text; for what breaks the rules it is closed with the code that
// the standard has for that.
package ws
