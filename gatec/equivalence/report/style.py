"""How an HTML report looks; all rules are for `.gatec`, so that a notebook keeps its own look."""

STYLE = """\
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d8dee4;
  --page: #ffffff; --panel: #f6f8fa; --yes: #1a7f37; --no: #b3261e; --open: #8a6100; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --line: #30363d;
  --page: #0d1117; --panel: #161b22; --yes: #4ac26b; --no: #ff7b72; --open: #e3b341; } }
.gatec { color: var(--ink); background: var(--page); max-width: 58rem; margin: 0 auto;
  padding: 2.5rem 1.5rem 4rem; font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
.gatec header { border-bottom: 1px solid var(--line); padding-bottom: 1.2rem; }
.gatec h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .8rem; }
.gatec h2 { font-size: 1.05rem; margin: 2.2rem 0 .6rem; }
.gatec p { margin: .5rem 0; max-width: 46rem; }
.gatec ul { margin: .4rem 0; padding-left: 1.3rem; }
.gatec .verdict { display: inline-block; font-weight: 650; border: 1.5px solid;
  padding: .1rem .7rem; border-radius: 1rem; margin-right: .6rem; }
.gatec .legend { color: var(--soft); font-size: .9rem; }
.gatec .yes { color: var(--yes); }
.gatec .no { color: var(--no); }
.gatec .open { color: var(--open); }
.gatec table { border-collapse: collapse; margin: .6rem 0; }
.gatec .scroll { overflow-x: auto; }
.gatec .data th, .gatec .data td { border: 1px solid var(--line); padding: .25rem .7rem;
  text-align: left; vertical-align: top; }
.gatec .data th { background: var(--panel); font-weight: 600; }
.gatec .math { font-family: "STIX Two Text", "Cambria Math", Cambria, Georgia, serif;
  font-size: 1.04rem; }
.gatec .math td { padding: .1rem .45rem .1rem 0; vertical-align: baseline; }
.gatec .math .left { white-space: nowrap; }
.gatec .math .note { color: var(--soft); font: .85rem system-ui, sans-serif; padding-left: 1.2rem; }
.gatec .math sub, .gatec .math sup { font-size: .72em; line-height: 0; }
.gatec .math i { font-style: italic; }
.gatec .steps { margin: .5rem 0 1rem; padding: .3rem 0 .3rem .9rem;
  border-left: 2px solid var(--line); }
.gatec .steps div { margin: .25rem 0; }
.gatec pre { background: var(--panel); border: 1px solid var(--line); border-radius: 6px;
  padding: .7rem .9rem; overflow-x: auto;
  font: .86rem/1.5 ui-monospace, Menlo, Consolas, monospace; }
.gatec details { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .9rem;
  margin: .6rem 0; }
.gatec summary { cursor: pointer; font-weight: 600; }
.gatec footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media print { .gatec { max-width: none; padding: 0; } .gatec details > * { display: block; } }
"""
