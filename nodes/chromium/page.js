// What the role does within pages. Each function throws a sentence where it cannot; line breaks matter nothing.
({
	// shown says whether a person sees the element.
	shown(e) {
		const box = e.getBoundingClientRect();
		return box.width > 0 && box.height > 0 && getComputedStyle(e).visibility !== 'hidden';
	},
	// says is what a person reads on the element.
	says(e) {
		return (e.innerText || e.value || e.getAttribute('aria-label') || e.alt || e.title || '').trim().replace(/\s+/g, ' ');
	},
	one(selector) {
		let found;
		try {
			found = [...document.querySelectorAll(selector)];
		} catch {
			throw new Error('selector ' + JSON.stringify(selector) + ' is none of CSS');
		}
		return found.find(e => this.shown(e)) ?? found[0];
	},
	// target is what a click on that text, or on that selector, hits.
	target(text, selector) {
		if (selector) {
			const e = this.one(selector);
			if (!e) throw new Error('nothing on the page matches ' + JSON.stringify(selector));
			return e;
		}
		const all = [...document.querySelectorAll('a, button, input[type=submit], input[type=button], input[type=reset], input[type=image], [role=button], [role=link], [onclick], label, summary, area, option')].filter(e => this.shown(e));
		const e = all.find(e => this.says(e) === text) ?? all.find(e => this.says(e).includes(text));
		if (e) return e;
		const any = [...document.body.querySelectorAll('*')].filter(e => this.shown(e) && this.says(e).includes(text));
		if (!any.length) throw new Error('nothing on the page says ' + JSON.stringify(text));
		return any[any.length - 1];
	},
	// place is where to click.
	place(text, selector) {
		const e = this.target(text, selector);
		e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});
		const box = [...e.getClientRects()].find(b => b.width > 0 && b.height > 0);
		if (!box) throw new Error('it is not shown');
		return {x: box.left + box.width / 2, y: box.top + box.height / 2};
	},
	// form is the form of that name, id or button; without one the only form, or that which has the field.
	form(name, fields) {
		const all = [...document.forms];
		if (name) {
			const f = all.find(f => f.getAttribute('name') === name || f.id === name)
				?? all.find(f => [...f.querySelectorAll('button, input[type=submit]')].some(b => this.says(b) === name));
			if (f) return f;
			throw new Error('the page has no form ' + JSON.stringify(name));
		}
		if (all.length === 1) return all[0];
		const fits = all.filter(f => fields.length && fields.every(n => this.fieldIn(f, n)));
		if (fits.length === 1) return fits[0];
		throw new Error('the page has ' + all.length + ' forms: name one');
	},
	fieldIn(root, name) {
		const all = [...root.querySelectorAll('input:not([type=hidden]), textarea, select')];
		const by = f => all.find(f);
		return by(e => e.name === name) ?? by(e => e.id === name)
			?? by(e => [...(e.labels ?? [])].some(l => this.says(l).replace(/:$/, '') === name))
			?? by(e => e.placeholder === name || e.getAttribute('aria-label') === name);
	},
	field(form, name) {
		const root = form ? this.form(form, [name]) : document;
		const e = this.fieldIn(root, name) ?? (/[#.\[]/.test(name) ? this.one(name) : null);
		if (!e) throw new Error('the page has no field ' + JSON.stringify(name));
		return e;
	},
	// ready selects what stands in a field, so that what is typed replaces it; true: it is no field to type in, and has been set.
	ready(form, name, value) {
		const e = this.field(form, name);
		if (e.disabled || e.readOnly) throw new Error('field ' + JSON.stringify(name) + ' cannot be changed');
		const changed = () => {
			e.dispatchEvent(new Event('input', {bubbles: true}));
			e.dispatchEvent(new Event('change', {bubbles: true}));
			return true;
		};
		if (e.tagName === 'SELECT') {
			const o = [...e.options].find(o => o.value === value || this.says(o) === value);
			if (!o) throw new Error('the list ' + JSON.stringify(name) + ' has no choice ' + JSON.stringify(value));
			e.value = o.value;
			return changed();
		}
		if (e.type === 'checkbox') {
			if (e.checked !== (value === 'true')) e.click();
			return true;
		}
		if (e.type === 'radio') {
			const o = [...document.getElementsByName(e.name)].find(o => o.value === value);
			if (!o) throw new Error(JSON.stringify(name) + ' has no choice ' + JSON.stringify(value));
			o.click();
			return true;
		}
		if (e.type === 'file') throw new Error('files cannot be chosen');
		e.scrollIntoView({block: 'center'});
		e.focus();
		if (!['text', 'search', 'url', 'tel', 'password', 'email', 'textarea', 'number'].includes(e.type)) {
			e.value = value;
			return changed();
		}
		e.select();
		if (value === '') {
			e.value = '';
			return changed();
		}
		return false;
	},
	// left has the page take note that a field was left, as by the Tab key.
	left() {
		document.activeElement?.blur?.();
		return true;
	},
	// filled is what stands in a form.
	filled(form, names) {
		const f = this.form(form, names);
		const fields = [...new FormData(f)].map(([name, v]) => ({name, value: typeof v === 'string' ? v : v.name}));
		return {form: f.getAttribute('name') ?? f.id ?? '', fields};
	},
	// send presses a button of a form, or sends it where it has none.
	send(form, button, names) {
		const f = this.form(form, names);
		const all = [...f.querySelectorAll('button, input[type=submit], input[type=image]')].filter(b => b.type === 'submit' || b.type === 'image');
		const b = button ? all.find(b => b.name === button || b.id === button || this.says(b) === button) : all[0];
		if (button && !b) throw new Error('the form has no button ' + JSON.stringify(button));
		if (!f.noValidate && !b?.formNoValidate && !f.checkValidity()) {
			const e = f.querySelector(':invalid');
			throw new Error('the browser does not send the form: ' + (e?.name || e?.id || 'a field') + ': ' + (e?.validationMessage ?? 'not valid'));
		}
		setTimeout(() => f.requestSubmit(b), 0); // the page may go away with it
		return true;
	},
	// there says whether the page shows the text, or has an element that matches.
	there(text, selector) {
		if (selector) {
			const e = this.one(selector);
			return !!e && this.shown(e);
		}
		return (document.body?.innerText ?? '').includes(text);
	},
	// content is the page as it is.
	content(most) {
		return {
			url: location.href, title: document.title,
			text: (document.body?.innerText ?? '').slice(0, most),
			html: (document.documentElement?.outerHTML ?? '').slice(0, most),
		};
	},
	// fetch makes a request as a script of the page does.
	async fetch(url, options, most) {
		try {
			const r = await fetch(url, options);
			const bytes = new Uint8Array(await r.arrayBuffer());
			let base64 = '';
			for (const b of bytes.subarray(0, most)) base64 += String.fromCharCode(b);
			return {
				url: r.url, status: r.status, type: r.type, redirected: r.redirected, headers: Object.fromEntries(r.headers),
				body: btoa(base64), size: bytes.length, error: '',
			};
		} catch (e) {
			return {url: '', status: 0, type: 'error', redirected: false, headers: {}, body: '', size: 0, error: String(e)};
		}
	},
})
