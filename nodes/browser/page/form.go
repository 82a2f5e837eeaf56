package page

import (
	"fmt"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Bounds of forms.
const (
	maxFields = 2000
	maxValue  = 1 << 20 // bytes of one field
)

// Form is a form of a page, with what a person has filled in so far.
type Form struct {
	Name, ID string
	Fields   []*Field // its controls in document order, buttons too
	Node     *html.Node
}

// Field is a control of a form.
type Field struct {
	Name, ID string
	Label    string // what a person reads beside it
	Kind     string // the type of an input, else textarea, select or button
	Value    string // of a checkbox or radio button: what it sends when checked
	Checked  bool
	Options  []Option // of a select
	Multiple bool
	Disabled bool
	Action   string // formaction, formmethod, formenctype and formtarget of a button
	Method   string
	Enctype  string
	Target   string
	Node     *html.Node
}

// Option is a choice of a select.
type Option struct {
	Value, Label       string
	Selected, Disabled bool
}

// Forms is the forms of a page in document order, those of their controls that stand elsewhere (form=…) included.
func Forms(root *html.Node) []*Form {
	var list []*Form
	byNode := make(map[*html.Node]*Form)
	byID := make(map[string]*Form)
	for n := range root.Descendants() {
		if n.DataAtom == atom.Form && n.Namespace == "" && len(list) < maxFields {
			f := &Form{Node: n}
			f.Name, _ = nodeAttribute(n, "name")
			f.ID, _ = nodeAttribute(n, "id")
			list = append(list, f)
			byNode[n] = f
			if f.ID != "" && byID[f.ID] == nil {
				byID[f.ID] = f
			}
		}
	}
	labels := labelled(root)
	fields := 0
	for n := range root.Descendants() {
		owner := owner(n, byNode, byID)
		if owner == nil || fields >= maxFields {
			continue
		}
		fields++
		owner.Fields = append(owner.Fields, field(n, labels))
	}
	return list
}

// owner is the form that a control belongs to (HTML, section 4.10.18.3); nil: n is no control, or in no form.
func owner(n *html.Node, byNode map[*html.Node]*Form, byID map[string]*Form) *Form {
	switch n.DataAtom {
	case atom.Input, atom.Textarea, atom.Select, atom.Button:
	default:
		return nil
	}
	if id, ok := nodeAttribute(n, "form"); ok {
		return byID[id]
	}
	for p := n.Parent; p != nil; p = p.Parent {
		if f := byNode[p]; f != nil {
			return f
		}
		if p.DataAtom == atom.Template || p.DataAtom == atom.Datalist {
			return nil
		}
	}
	return nil
}

// labelled is the text of the labels, by the control that they stand beside: its id, or its element in them.
func labelled(root *html.Node) map[any]string {
	labels := make(map[any]string)
	for n := range root.Descendants() {
		if n.DataAtom != atom.Label || len(labels) >= maxFields {
			continue
		}
		text := collapse(labelText(n))
		if id, ok := nodeAttribute(n, "for"); ok {
			labels[id] = text
			continue
		}
		for d := range n.Descendants() {
			if d.DataAtom == atom.Input || d.DataAtom == atom.Textarea || d.DataAtom == atom.Select || d.DataAtom == atom.Button {
				labels[d] = text
				break
			}
		}
	}
	return labels
}

// labelText is the text of a label without that of the controls in it.
func labelText(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type != html.TextNode || b.Len() > maxShown*4 {
			continue
		}
		inside := false
		for p := d.Parent; p != nil && p != n; p = p.Parent {
			inside = inside || p.DataAtom == atom.Select || p.DataAtom == atom.Textarea || p.DataAtom == atom.Button
		}
		if !inside {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func field(n *html.Node, labels map[any]string) *Field {
	f := &Field{Node: n, Kind: n.Data, Disabled: disabled(n)}
	get := func(key string) string {
		value, _ := nodeAttribute(n, key)
		return value
	}
	f.Name, f.ID = get("name"), get("id")
	f.Action, f.Method, f.Enctype, f.Target = get("formaction"), get("formmethod"), get("formenctype"), get("formtarget")
	switch n.DataAtom {
	case atom.Input:
		if f.Kind = strings.ToLower(get("type")); !inputKind(f.Kind) {
			f.Kind = "text"
		}
		f.Value = clipBytes(get("value"), maxValue)
		_, f.Checked = nodeAttribute(n, "checked")
		if _, given := nodeAttribute(n, "value"); !given && (f.Kind == "checkbox" || f.Kind == "radio") {
			f.Value = "on"
		}
	case atom.Textarea:
		f.Value = clipBytes(content(n), maxValue)
	case atom.Button:
		f.Value = get("value")
		if f.Kind = strings.ToLower(get("type")); f.Kind != "reset" && f.Kind != "button" {
			f.Kind = "submit"
		}
	case atom.Select:
		_, f.Multiple = nodeAttribute(n, "multiple")
		f.Options = options(n, f.Multiple)
	}
	f.Label = labels[n]
	if f.Label == "" && f.ID != "" {
		f.Label = labels[f.ID]
	}
	if f.Label == "" && n.DataAtom == atom.Button {
		f.Label = label(n)
	}
	if f.Label == "" && (f.Kind == "submit" || f.Kind == "reset" || f.Kind == "button") {
		if f.Label = f.Value; f.Label == "" {
			f.Label = f.Kind
		}
	}
	for _, key := range []string{"aria-label", "placeholder", "alt", "title"} {
		if f.Label == "" {
			f.Label = get(key)
		}
	}
	return f
}

func inputKind(kind string) bool {
	switch kind {
	case "hidden", "text", "search", "tel", "url", "email", "password", "date", "month", "week", "time", "datetime-local",
		"number", "range", "color", "checkbox", "radio", "file", "submit", "image", "reset", "button":
		return true
	}
	return false
}

// options is the choices of a select; of one that shows a single choice one is selected (HTML, section 4.10.7).
func options(n *html.Node, multiple bool) []Option {
	var list []Option
	chosen := -1
	for o := range n.Descendants() {
		if o.DataAtom != atom.Option || len(list) >= maxFields {
			continue
		}
		text := collapse(content(o))
		option := Option{Value: text, Label: text}
		if value, ok := nodeAttribute(o, "value"); ok {
			option.Value = value
		}
		_, option.Disabled = nodeAttribute(o, "disabled")
		if o.Parent != nil && o.Parent.DataAtom == atom.Optgroup {
			_, group := nodeAttribute(o.Parent, "disabled")
			option.Disabled = option.Disabled || group
		}
		if _, ok := nodeAttribute(o, "selected"); ok {
			if !multiple && chosen >= 0 {
				list[chosen].Selected = false
			}
			option.Selected = true
			chosen = len(list)
		}
		list = append(list, option)
	}
	for i := range list {
		if chosen < 0 && !multiple && !list[i].Disabled {
			list[i].Selected = true
			break
		}
	}
	return list
}

// disabled says that a control is so, or in a fieldset that is, but for its legend (HTML, section 4.10.18.5).
func disabled(n *html.Node) bool {
	if _, ok := nodeAttribute(n, "disabled"); ok {
		return true
	}
	for child, p := n, n.Parent; p != nil; child, p = p, p.Parent {
		if p.DataAtom != atom.Fieldset {
			continue
		}
		_, off := nodeAttribute(p, "disabled")
		if off && (child.DataAtom != atom.Legend || child != firstLegend(p)) {
			return true
		}
	}
	return false
}

func firstLegend(fieldset *html.Node) *html.Node {
	for c := range fieldset.ChildNodes() {
		if c.DataAtom == atom.Legend {
			return c
		}
	}
	return nil
}

// FindForm is the form of this name or id, or with a button of this text, or with a control of this name, id or label. An
// empty text means the only form.
func FindForm(root *html.Node, text string) (*Form, error) {
	forms := Forms(root)
	if text == "" {
		if len(forms) != 1 {
			return nil, fmt.Errorf("the page has %d forms: which one is not said", len(forms))
		}
		return forms[0], nil
	}
	for _, f := range forms {
		if f.Name == text || f.ID == text {
			return f, nil
		}
	}
	for _, f := range forms {
		if f.Button(text) != nil {
			return f, nil
		}
	}
	for _, f := range forms {
		if f.find(text) != nil {
			return f, nil
		}
	}
	return nil, fmt.Errorf("the page has no form %q", text)
}

// submits says that the control is a button that submits its form.
func (f *Field) submits() bool { return f.Kind == "submit" || f.Kind == "image" }

// Button is the button that submits the form and has this name, id or text; with an empty text the first one. nil: none.
func (f *Form) Button(text string) *Field {
	for _, c := range f.Fields {
		if c.submits() && !c.Disabled && (text == "" || c.called(text)) {
			return c
		}
	}
	return nil
}

func (f *Field) called(text string) bool {
	return f.Name == text || f.ID == text || f.Label != "" && strings.EqualFold(trimLabel(f.Label), trimLabel(text))
}

// trimLabel is a label without the marks that often end it.
func trimLabel(text string) string { return strings.TrimRight(collapse(text), ":*? ") }

// find is the first control of this name, else id, else label.
func (f *Form) find(text string) *Field {
	tests := []func(*Field) bool{
		func(c *Field) bool { return c.Name == text },
		func(c *Field) bool { return c.ID == text },
		func(c *Field) bool { return c.called(text) },
	}
	for _, test := range tests {
		for _, c := range f.Fields {
			if !c.submits() && test(c) {
				return c
			}
		}
	}
	return nil
}

// Fill enters a value as a person would: text, the choice of a select by its value or label, the radio button with that
// value or label; of a checkbox true or false, or the value of the one that is to be checked.
func (f *Form) Fill(key, value string) error {
	c := f.find(key)
	switch {
	case c == nil:
		return fmt.Errorf("the form has no field %q", key)
	case c.Disabled:
		return fmt.Errorf("field %q is disabled", key)
	case len(value) > maxValue:
		return fmt.Errorf("field %q: the value is longer than %d bytes", key, maxValue)
	}
	switch c.Kind {
	case "select":
		return c.choose(value)
	case "radio":
		return f.pick(c, key, value)
	case "checkbox":
		return f.check(c, key, value)
	case "file":
		return fmt.Errorf("field %q takes a file, which is not supported", key)
	}
	c.Value = value
	return nil
}

func (f *Field) choose(value string) error {
	at := -1
	for i, o := range f.Options {
		if !o.Disabled && (o.Value == value || at < 0 && o.Label == value) {
			at = i
			if o.Value == value {
				break
			}
		}
	}
	if at < 0 {
		return fmt.Errorf("field %q has no choice %q", f.Name, value)
	}
	for i := range f.Options {
		f.Options[i].Selected = i == at || f.Multiple && f.Options[i].Selected
	}
	return nil
}

// pick checks one of the radio buttons of a group.
func (f *Form) pick(c *Field, key, value string) error {
	var chosen *Field
	for _, r := range f.Fields {
		if r.Kind == "radio" && r.Name == c.Name && !r.Disabled && (r.Value == value || r.called(value)) {
			chosen = r
			break
		}
	}
	if chosen == nil {
		return fmt.Errorf("field %q has no choice %q", key, value)
	}
	for _, r := range f.Fields {
		if r.Kind == "radio" && r.Name == c.Name {
			r.Checked = r == chosen
		}
	}
	return nil
}

func (f *Form) check(c *Field, key, value string) error {
	switch strings.ToLower(value) {
	case "true", "on", "yes":
		c.Checked = true
		return nil
	case "false", "off", "no", "":
		c.Checked = false
		return nil
	}
	for _, other := range f.Fields {
		if other.Kind == "checkbox" && other.Name == c.Name && other.Value == value && !other.Disabled {
			other.Checked = true
			return nil
		}
	}
	return fmt.Errorf("field %q is checked by true or false, not %q", key, value)
}
