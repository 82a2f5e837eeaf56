package nodes

import (
	"io/fs"

	"scenario/nodes/announce"
	"scenario/nodes/browser"
	"scenario/nodes/chat"
	"scenario/nodes/chromium"
	"scenario/nodes/client"
	"scenario/nodes/dns"
	"scenario/nodes/echo"
	"scenario/nodes/role"
	"scenario/nodes/router"
	"scenario/nodes/web"
)

// Kinds lists the roles there are, by name. sites holds the sites that web servers can name, a folder each.
func Kinds(sites fs.FS) []role.Kind {
	return []role.Kind{
		announce.Kind(),
		browser.Kind(),
		chat.Kind(),
		chromium.Kind(),
		client.Kind(),
		dns.Kind(),
		echo.Kind(),
		router.Kind(),
		web.Kind(sites),
	}
}
