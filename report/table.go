package report

// table sets things beside each other: a column of labels, and one for each of them.
type table struct {
	heads []string
	rows  [][]string // label, then a cell for each head
}

// row adds a row; an empty cell is drawn as a dash.
func (t *table) row(label string, cells ...string) {
	t.rows = append(t.rows, append([]string{label}, cells...))
}

// labelRoom is the width of the column of labels.
const labelRoom = 18

// lines are the table's on a page of n columns. What does not fit into a cell goes on below.
func (t table) lines(n int) []line {
	room := (bodyWidth(n) + atWidth - labelRoom) / max(len(t.heads), 1)
	room = max(room-gap, 8)
	left := 2
	var out []line
	put := func(label words, cells []words) {
		deepest := 0
		var wrapped [][]words
		for _, c := range cells {
			w := c.wrap(room)
			wrapped = append(wrapped, w)
			deepest = max(deepest, len(w))
		}
		for i := range deepest {
			row := words(nil)
			if i == 0 {
				row = label
			}
			for j, w := range wrapped {
				row = row.say(pad("", labelRoom+j*(room+gap)-row.width()))
				if i < len(w) {
					row = row.add(w[i])
				}
			}
			out = append(out, line{flush: true, text: say(pad("", left)).add(row), exact: true})
		}
	}
	var heads []words
	for _, h := range t.heads {
		heads = append(heads, in(strong, clean(h)))
	}
	put(nil, heads)
	for _, r := range t.rows {
		var cells []words
		for _, c := range r[1:] {
			if c == "" {
				c = "–"
			}
			cells = append(cells, say(clean(c)))
		}
		put(in(faint, middle(clean(r[0]), labelRoom-1)), cells)
	}
	return out
}
