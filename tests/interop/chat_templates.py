"""What Python's transformers makes of chat templates: writes `src/text/chat/dialect.jsonl`, which a unit test holds this tool to.

Each case is a small template for one thing that templates in the field do. Where transformers refuses to render, `refused` is true:
the words of the error are each program's own.

    python tests/interop/chat_templates.py
"""

from __future__ import annotations

import json
from pathlib import Path

from transformers.utils.chat_template_utils import render_jinja_template

DESTINATION = Path(__file__).parents[2] / "src" / "text" / "chat" / "dialect.jsonl"

TALK = [
    {"role": "system", "content": "  Be brief. "},
    {"role": "user", "content": "\nIs 1 < 2 & \"3\" > 'é'?\n"},
    {"role": "assistant", "content": "<think>\nHm ☃\n</think>\n\nYes.", "note": None},
    {"role": "user", "content": "Thanks, 日本"},
]
CALLS = [
    {"role": "user", "content": [{"type": "text", "text": "Weather in Łódź?"}, {"type": "image"}]},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"type": "function", "function": {"name": "weather", "arguments": {"city": "Łódź", "days": 2, "metric": True, "at": None}}},
            {"type": "function", "function": {"name": "clock", "arguments": "{\"zone\": \"CET\"}"}},
        ],
    },
    {"role": "tool", "name": "weather", "content": {"sky": ["grey", 'so-"so"'], "degrees": -1.5, "wind": 1e20, "rain": 0.0}},
]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "What it's like outside, <b>now</b> & \"then\"",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}}, "required": ["city"]},
        },
    }
]

# Name, template, and what differs from rendering TALK with nothing else.
CASES: list[tuple[str, str, dict]] = [
    # Whitespace
    ("blocks on lines of their own", "{% for m in messages %}\n  {% if m.role == 'user' %}\n[{{ m.role }}]\n  {% endif %}\n{% endfor %}\nend\n", {}),
    ("minus signs", "a \n {%- if true -%} \n b \n {%- endif %} \n c", {}),
    ("plus signs", "a\n  {%+ if true %}\nb{% endif +%}\n c", {}),
    ("comments", "a\n  {# nothing #}\nb{#- nothing -#} c", {}),
    ("expressions keep line ends", "{{ 'a' }}\n  {{ 'b' }}\n{{- 'c' -}}\n d", {}),
    ("one line end at the end", "text\n\n", {}),
    ("raw", "{% raw %}{{ not read }}{% endraw %}", {}),
    # What stands in for nothing
    ("tools and documents are none", "{{ tools is defined }} {{ tools is none }} {{ documents is none }}{% if tools is not none %}!{% endif %}{% if tools %}!{% endif %}", {}),
    ("undefined prints nothing", "[{{ nobody }}][{{ messages[0].nobody }}][{{ messages[0]['nobody'] is defined }}]", {}),
    ("part of undefined", "{{ nobody.part }}", {}),
    ("part of none", "{{ messages[2].note.part is defined }}", {}),
    ("default", "{{ nobody | default('a') }}{{ '' | default('b') }}{{ '' | default('c', true) }}{{ none | default('d', boolean=true) }}", {}),
    ("loop over undefined", "{% for m in nobody %}{{ m }}{% else %}none{% endfor %}", {}),
    ("if without else", "[{{ 'a' if false }}]", {}),
    # How values print
    ("constants print as Python's", "{{ none }} {{ true }} {{ false }} {{ None }} {{ True }} {{ False }}", {}),
    ("numbers print as Python's", "{{ 1 }} {{ 1.0 }} {{ 0.1 + 0.2 }} {{ 1e20 }} {{ 1e16 }} {{ 1e15 }} {{ 1e-5 }} {{ 0.0001 }} {{ -0.0 }} {{ 12345678901234567890 }}", {}),
    ("lists print as Python's", "{{ ['a', \"it's\", 'q\"', 1, 2.0, true, none, [], {}] }}", {}),
    ("dictionaries print as Python's", "{{ messages[1].tool_calls[0].function.arguments }} {{ {'a': [1.5, \"it's\"], 1: none} }}", {"messages": CALLS}),
    ("escapes in printed lists", "{{ ['a\\nb\\t', 'back\\\\slash', 'é☃', '\\x00'] }}", {}),
    ("tuples", "{{ (1, 'a') }} {{ (1,) }} {{ () }}", {}),
    ("joining values", "{{ 'a' ~ none ~ true ~ 1.0 ~ [1, 'b'] ~ {'k': none} }}", {}),
    ("values as strings", "{{ none | string }} {{ true | string }} {{ [none] | string }} {{ 2.0 | string }} {{ (none | string) | length }}", {}),
    ("joined lists", "{{ [none, true, 1.0, 'a'] | join(', ') }}", {}),
    ("nothing is escaped", "{{ messages[1].content }}{{ '<b>&' }}{{ '<b>' | e }}", {}),
    # JSON
    ("tojson", "{{ messages | tojson }}", {}),
    ("tojson of numbers", "{{ [1, 1.0, 1e20, 1e16, 1e-5, 0.1, -0.0, true, none, 12345678901234567890] | tojson }}", {}),
    ("tojson indented", "{{ tools | tojson(indent=4) }}|{{ tools | tojson(2) }}", {"tools": TOOLS, "messages": []}),
    ("tojson indented and empty", "{{ {'a': [], 'b': {}} | tojson(indent=2) }}", {}),
    ("tojson of tools", "{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}", {"tools": TOOLS}),
    ("tojson in ASCII", "{{ messages[3].content | tojson(ensure_ascii=True) }}{{ '☃ 𝄞 \\x7f' | tojson(ensure_ascii=true) }}", {}),
    ("tojson sorted", "{{ messages[2].content | tojson(sort_keys=true) }}", {"messages": CALLS}),
    ("tojson with separators", "{{ messages[2].content | tojson(separators=(',', ':')) }}{{ {'a': [1, 2]} | tojson(separators=[', ', ' = '], indent=1) }}", {"messages": CALLS}),
    ("tojson of what is undefined", "{{ nobody | tojson }}", {}),
    ("tojson of keys and tuples", "{{ {1: 'a', 'b': (1, 2), none: 3, true: 4, 1.5: 5} | tojson }}", {}),
    ("tojson of control characters", "{{ 'a\\n\\t\\r\\x08\\x0c\\x01\\x7f/\\\\' | tojson }}", {}),
    # Strings
    ("strip", "[{{ messages[0].content.strip() }}][{{ 'xaxx'.strip('x') }}][{{ ' a '.lstrip() }}][{{ ' a '.rstrip() }}][{{ 'abcba'.lstrip('ab') }}][{{ 'a\\n'.rstrip('\\n') }}]", {}),
    ("trim", "[{{ messages[0]['content'] | trim }}][{{ 'xax' | trim('x') }}]", {}),
    ("split", "{{ 'a,b,,c'.split(',') }}{{ ' a  b '.split() }}{{ 'a,b,c'.split(',', 1) }}{{ ''.split(',') }}{{ ''.split() }}{{ 'a b c'.split(' ', maxsplit=1) }}{{ 'a  b c '.split(None, 1) }}{{ 'a,b'.split(sep=',') }}", {}),
    ("rsplit", "{{ 'a,b,c'.rsplit(',', 1) }}{{ 'a b c'.rsplit(maxsplit=1) }}", {}),
    ("partition", "{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=') }}", {}),
    ("reasoning is cut off", "{% set c = messages[2].content %}{% if '</think>' in c %}{{ c.split('</think>')[-1].lstrip('\\n') }}|{{ c.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') }}{% endif %}", {}),
    ("beginnings and ends", "{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith('bc') }}{{ 'abc'.startswith(('x', 'a')) }}{{ not 'abc'.startswith('b') }}", {}),
    ("removeprefix", "{{ 'abc'.removeprefix('a') }}{{ 'abc'.removesuffix('c') }}{{ 'abc'.removesuffix('x') }}", {}),
    ("case", "{{ 'straße é'.upper() }}{{ 'ABC'.lower() }}{{ \"it's a dog\".title() }}{{ 'aBC'.capitalize() }}{{ 'aB'.swapcase() }}{{ 'abc' | upper }}{{ 'aBC dE' | title }}{{ 'aBC' | capitalize }}", {}),
    ("replace", "{{ 'aaa'.replace('a', 'b') }}{{ 'aaa'.replace('a', 'b', 1) }}{{ 'aaa' | replace('a', 'c') }}{{ 'aaa' | replace('a', 'c', 2) }}", {}),
    ("find", "{{ 'héhé'.find('h') }}{{ 'héhé'.rfind('é') }}{{ 'a'.find('x') }}{{ 'aXa'.count('a') }}{{ 'abc'.index('c') }}", {}),
    ("join", "{{ ', '.join(['a', 'b']) }}{{ ''.join([]) }}", {}),
    ("slices", "{{ 'héllo'[1:3] }}|{{ 'abc'[::-1] }}|{{ 'abc'[-1] }}|{{ 'abc'[:-1] }}|{{ 'abc'[0] }}|{{ 'abcdef'[::2] }}", {}),
    ("formats", "{{ '%s has %d' | format('a', 3) }}{{ '%.2f' | format(1.5) }}{{ '{} {}'.format('a', 1) }}{{ '{0}{1}{0}'.format('a', 'b') }}{{ '{x:>4}'.format(x='a') }}", {}),
    ("repeated", "{{ 'ab' * 3 }}{{ '=' * 5 }}{{ [1] * 2 }}", {}),
    ("concatenated", "{{ 'a' + 'b' }}{{ [1] + [2] }}{{ 'a' 'b' }}", {}),
    ("string plus number", "{{ 'a' + 1 }}", {}),
    ("questions about strings", "{{ '12'.isdigit() }}{{ 'ab'.isalpha() }}{{ 'a1'.isalnum() }}{{ ' '.isspace() }}{{ 'A'.isupper() }}{{ 'a'.islower() }}{{ ''.isdigit() }}", {}),
    ("lines", "{{ 'a\\nb\\n\\nc'.splitlines() }}{{ 'ab'.zfill(5) }}{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3) }}|{{ 'a'.center(3) }}|", {}),
    ("escapes", "{{ 'a\\tb\\u00e9\\x41\\\\n' }}{{ \"it's\" }}{{ 'say \"a\"' }}", {}),
    ("length in characters", "{{ 'é☃𝄞' | length }}{{ 'é☃' | count }}", {}),
    ("indent", "{{ 'a\\nb\\n\\nc' | indent }}|{{ 'a\\nb' | indent(2, true) }}|{{ 'a\\nb' | indent(width=1, first=True) }}", {}),
    ("in", "{{ 'a' in 'cat' }}{{ 'x' not in 'cat' }}{{ 'role' in messages[0] }}{{ 1 in [1] }}{{ 'é' in 'é' }}", {}),
    # Lists and dictionaries
    ("items", "{% for k, v in messages[1].tool_calls[0].function.arguments.items() %}{{ k }}={{ v }};{% endfor %}{% for k, v in messages[2].content | items %}{{ k }}:{{ v }};{% endfor %}", {"messages": CALLS}),
    ("keys and values", "{{ messages[0].keys() | list }}{{ messages[0].values() | list }}{% for k in messages[0] %}{{ k }}{% endfor %}", {}),
    ("get", "{{ messages[0].get('role') }}{{ messages[0].get('x') }}{{ messages[0].get('x', 'y') }}{{ messages[2].get('note', 'z') }}", {}),
    ("a key named as a method", "{% for k, v in d.items() %}{{ k }}{{ v }}{% endfor %}{{ d['items'] }}{{ d.get('get') }}", {"variables": {"d": {"items": "own", "get": 3}}}),
    ("dictsort", "{% for k, v in {'b': 1, 'A': 2} | dictsort %}{{ k }}{{ v }}{% endfor %}", {}),
    ("dict", "{{ dict(a=1, b='c') }}{{ {'a': 1} | length }}{{ {'a': 1} == dict(a=1) }}", {}),
    ("list slices", "{{ [1, 2, 3][1:] }}{{ [1, 2, 3][::-1] }}{{ [1, 2, 3][-1] }}{{ messages[1:] | length }}{{ (messages | last).role }}{{ (messages | first).role }}", {}),
    ("out of range", "[{{ messages[9] }}][{{ messages[9] is defined }}]", {}),
    ("list methods", "{{ [1, 2, 1].count(1) }}{{ [1, 2, 1].index(2) }}", {}),
    ("lists cannot be changed", "{% set a = [] %}{% set _ = a.append(1) %}{{ a }}", {}),
    ("selected by attribute", "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ messages | rejectattr('role', '==', 'user') | map(attribute='role') | join('+') }}{{ messages | selectattr('role', 'in', ['system', 'tool']) | list | length }}{{ messages | selectattr('note', 'defined') | list | length }}", {}),
    ("mapped", "{{ ['a', 'b'] | map('upper') | join }}{{ messages | map(attribute='role') | unique | join(',') }}{{ messages | join('+', attribute='role') }}{{ messages | map(attribute='note', default='-') | join }}", {}),
    ("selected", "{{ [0, 1, 2, 'a', ''] | select | list }}{{ [1, 2, 3] | select('odd') | list }}{{ [1, 'a'] | reject('string') | list }}", {}),
    ("sorted", "{{ [3, 1, 2] | sort }}{{ ['b', 'A', 'a'] | sort }}{{ ['b', 'A'] | sort(case_sensitive=true) }}{{ [1, 2] | sort(reverse=true) }}{{ messages | sort(attribute='role') | map(attribute='role') | list }}", {}),
    ("numbers of lists", "{{ [1, 2] | sum }}{{ [1, 2] | max }}{{ [1, 2] | min }}{{ [1, 2, 3] | reverse | list }}{{ 'abc' | reverse }}", {}),
    ("grouped", "{% for role, group in messages | groupby('role') %}{{ role }}{{ group | length }}{% endfor %}{{ [1, 2, 3] | batch(2) | list }}", {}),
    ("parts of content", "{% for m in messages %}{% if m.content is string %}s{% elif m.content is mapping %}m{% elif m.content is iterable %}{% for p in m.content %}{% if p.type == 'text' %}{{ p['text'] }}{% else %}<{{ p.type }}>{% endif %}{% endfor %}{% else %}-{% endif %}{% endfor %}", {"messages": CALLS}),
    ("calls of tools", "{% for m in messages if m.tool_calls %}{% for c in m.tool_calls %}{% set f = c.function if c.function else c %}{{ f.name }}({{ f.arguments if f.arguments is string else f.arguments | tojson }}){% if not loop.last %}, {% endif %}{% endfor %}{% endfor %}", {"messages": CALLS}),
    # Tests
    ("kinds", "{% for v in ['a', 1, 1.5, true, none, [], {}, (1, 2)] %}{{ v is string }},{{ v is number }},{{ v is integer }},{{ v is float }},{{ v is boolean }},{{ v is mapping }},{{ v is sequence }},{{ v is iterable }},{{ v is none }};{% endfor %}", {}),
    ("comparisons as tests", "{{ 1 is eq 1 }}{{ 1 is ne 2 }}{{ 1 is lt 2 }}{{ 3 is odd }}{{ 4 is even }}{{ 4 is divisibleby 2 }}{{ 'a' is in ['a'] }}{{ true is true }}{{ 1 is true }}{{ false is false }}{{ none is sameas none }}{{ 'a' is lower }}{{ 'A' is upper }}", {}),
    ("undefined as a test", "{{ nobody is undefined }}{{ nobody is defined and nobody }}{{ nobody is none }}{{ not nobody }}{{ nobody == '' }}{{ nobody is string }}{{ nobody is iterable }}{{ nobody is sequence }}{{ nobody is mapping }}", {}),
    ("is not", "{{ 1 is not none }}{{ 'a' is not string }}{{ messages[0].content is defined and messages[0].content is not none }}", {}),
    ("and, or", "{{ '' or 'a' }}{{ 'a' and 'b' }}{{ none or 0 }}{{ [] and 1 }}{{ not '' }}", {}),
    ("alternation", "{% for m in messages[1:] %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{{ m.role }} {% endfor %}", {}),
    ("raised", "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}", {}),
    # Arithmetic
    ("arithmetic", "{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 4 / 2 }} {{ 2 ** 10 }} {{ 1 + 2.5 }} {{ 1 - -1 }}", {}),
    ("conversion", "{{ '3' | int + 1 }}{{ 'x' | int }}{{ 'x' | int(5) }}{{ 3.7 | int }}{{ '1.5' | float }}{{ 2.567 | round(1) }}{{ 2.5 | round }}{{ 3 | abs }}{{ -3 | abs }}{{ none | int }}{{ 'x' | int(default=7) }}{{ 'x' | float }}{{ '0x1f' | int(base=16) }}", {}),
    ("chained comparisons", "{{ 1 < 2 < 3 }}{{ 3 > 2 > 2 }}{{ 'a' < 'b' }}{{ 1 == 1.0 }}{{ 1 == true }}{{ '1' == 1 }}", {}),
    # Statements
    ("loop", "{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.cycle('a', 'b') }}{% endfor %}", {}),
    ("neighbours in a loop", "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined }}<{{ m.role }}>{{ loop.nextitem.role if loop.nextitem is defined }}{% endfor %}", {}),
    ("filtered loop", "{% for m in messages if m.role != 'user' %}{{ loop.index }}{{ m.role }}{% else %}none{% endfor %}", {}),
    ("break and continue", "{% for m in messages %}{% if loop.index == 1 %}{% continue %}{% endif %}{% if loop.index == 3 %}{% break %}{% endif %}{{ m.role }}{% endfor %}", {}),
    ("backwards", "{% set ns = namespace(last=-1, seen=false) %}{% for m in messages[::-1] %}{% set index = (messages | length - 1) - loop.index0 %}{% if not ns.seen and m.role == 'user' %}{% set ns.seen = true %}{% set ns.last = index %}{% endif %}{% endfor %}{{ ns.last }}", {}),
    ("namespace grows", "{% set ns = namespace() %}{% set ns.all = [] %}{% for m in messages %}{% set ns.all = ns.all + [m.role] %}{% endfor %}{{ ns.all | join(' ') }}", {}),
    ("scope of a loop", "{% set x = 1 %}{% for m in messages %}{% set x = 2 %}{% endfor %}{{ x }}", {}),
    ("scope of an if", "{% if true %}{% set x = 2 %}{% endif %}{{ x }}", {}),
    ("set of a block", "{% set x %}a {{ 'b' }}{% endset %}[{{ x }}]{% set y | upper %}c{% endset %}{{ y }}{{ x is string }}", {}),
    ("set of several", "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% for x, y in [[1, 2], (3, 4)] %}{{ x }}{{ y }}{% endfor %}", {}),
    ("macro with defaults", "{% macro show(m, mark='*', last=false) -%}\n  {{ mark }}{{ m }}{{ '!' if last }}\n{%- endmacro %}{{ show('a') }}{{ show('b', '-') }}{{ show('c', last=true) }}{{ show('d') | length }}", {}),
    ("macro that calls itself", "{% macro nest(v) %}{% if v is mapping %}{% for k in v %}{{ k }}({{ nest(v[k]) }}){% endfor %}{% else %}{{ v }}{% endif %}{% endmacro %}{{ nest({'a': {'b': 1}, 'c': 2}) }}", {}),
    ("macro that reads variables", "{% set mark = '+' %}{% macro show(m) %}{{ mark }}{{ m.role }}{{ bos_token }}{% endmacro %}{% for m in messages %}{{ show(m) }}{% endfor %}", {"variables": {"bos_token": "<s>"}}),
    ("call", "{% macro box(title) %}<{{ title }}>{{ caller() }}</>{% endmacro %}{% call box('a') %}inner{% endcall %}", {}),
    ("filter block", "{% filter upper %}abc{{ 'd' }}{% endfilter %}", {}),
    ("with", "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}[{{ a }}]", {}),
    ("range", "{{ range(3) | list }}{{ range(1, 10, 3) | list }}{% for i in range(2) %}{{ i }}{% endfor %}", {}),
    ("joiner and cycler", "{% set j = joiner(', ') %}{% for m in messages %}{{ j() }}{{ m.role }}{% endfor %}{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}", {}),
    ("recursive loop", "{% for x in [[1, [2]], [3]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{% endif %}{% endfor %}", {}),
    # What transformers adds
    ("generation", "{% for m in messages %}\n{{ m.role }}:{% if m.role == 'assistant' %}\n{% generation %}\n{{ m.content }}\n{% endgeneration %}\n{% else %}{{ m.content }}\n{% endif %}\n{% endfor %}", {}),
    ("generation with minus signs", "{% for m in messages %}{{ m.role }}: \n {%- generation -%} \n {{ loop.index }}{% set x = 1 %} {%- endgeneration -%} \n {% endfor %}{{ x }}", {}),
    ("generation prompt", "{% if add_generation_prompt %}<assistant>{% endif %}", {"add_generation_prompt": True}),
    ("generation prompt, not asked for", "{{ add_generation_prompt }}", {}),
    ("special tokens and variables", "{{ bos_token }}{{ eos_token }}{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}{{ custom.deep[0] }}", {"variables": {"bos_token": "<s>", "eos_token": "</s>", "enable_thinking": False, "custom": {"deep": ["x"]}}}),
    ("thinking with a default", "{% if not thinking is defined %}{% set thinking = false %}{% endif %}{{ thinking }}", {"variables": {"thinking": True}}),
    ("time", "{{ strftime_now('%d %b %Y') | length }}{{ strftime_now('%%') }}{{ strftime_now('%Y-%m-%d').split('-') | length }}", {}),
    ("documents", "{% for d in documents %}{{ d.title }}{% endfor %}", {"variables": {"documents": [{"title": "a", "text": "b"}]}}),
]


def record(name: str, template: str, setting: dict) -> dict:
    setting = {"messages": TALK} | setting
    record = {"name": name, "template": template} | setting
    try:
        rendered, _ = render_jinja_template(
            [setting["messages"]],
            tools=setting.get("tools"),
            chat_template=template,
            add_generation_prompt=setting.get("add_generation_prompt", False),
            **setting.get("variables", {}),
        )
    except Exception as error:  # noqa: BLE001, whatever it is, it is a refusal
        print(f"{name}: {type(error).__name__}: {error}")
        return record | {"refused": True}
    return record | {"rendered": rendered[0]}


def main() -> None:
    with DESTINATION.open("w") as lines:
        for case in CASES:
            lines.write(json.dumps(record(*case), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
