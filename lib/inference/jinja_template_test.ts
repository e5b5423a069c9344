import assert from "node:assert/strict";
import { formatDay, JinjaTemplate } from "./jinja_template.ts";

const NEW_YEAR = new Date("2027-01-02T03:04:05Z");

function render(text: string, variables: Record<string, unknown> = {}): string {
  return new JinjaTemplate(text, () => NEW_YEAR).render(variables);
}

Deno.test("JinjaTemplate has the globals that chat templates ask for", () => {
  assert.equal(
    render("{% for i in range(2) %}{{ i }}{% endfor %}{% for i in range(4, 1, -2) %}{{ i }}{% endfor %}"),
    "0142",
  );
  assert.equal(render("{{ x is none }}{{ true }}{{ False }}", { x: null }), "truetruefalse");
  assert.throws(() => render("{{ raise_exception('no turns') }}"), /no turns/);
  assert.throws(() => render("{{ range(1, 2, 0) }}"), /step/);
});

Deno.test("JinjaTemplate knows the day and no time of it", () => {
  assert.equal(render("{{ strftime_now('%Y-%m-%d %H:%M:%S') }}"), "2027-01-02 00:00:00");
});

Deno.test("JinjaTemplate writes JSON as Python does", () => {
  assert.equal(render("{{ x | tojson }}", { x: { a: [1, "é"], b: {} } }), '{"a": [1, "é"], "b": {}}');
});

Deno.test("formatDay() knows the names and numbers of Python's strftime, and leaves what it does not know", () => {
  assert.equal(formatDay(NEW_YEAR, "%A %a %-d %d %B %b %y 100%% %Q"), "Saturday Sat 2 02 January Jan 27 100% %Q");
});
