#include "export/report/sections.h"

namespace renas {

const char* const kReportStyle = R"(
:root{color-scheme:light dark;--back:#fff;--card:#f5f7fa;--text:#1d2430;--soft:#5a6675;--line:#d9dfe7;
--a:#2563c9;--b:#d0721b;--c:#26884d;--d:#7c4dc4;--e:#c73535;--f:#148792;--g:#a8327f;--h:#7a6a12;--grey:#97a1af;
--separable:#dbe8ff;--pool:#ffe8cf;--identity:#e2f3e4}
@media (prefers-color-scheme:dark){:root{--back:#12161c;--card:#1b212a;--text:#e4e9f0;--soft:#9aa7b8;
--line:#303947;--a:#6da3ff;--b:#f0a052;--c:#5cc486;--d:#b390f0;--e:#f07b7b;--f:#4dc3cf;--g:#e580c0;--h:#cdbb55;
--grey:#6f7b8b;--separable:#21365c;--pool:#54371a;--identity:#1f432a}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",
"DejaVu Sans","Liberation Sans",sans-serif}
main{max-width:1120px;margin:0 auto;padding:24px 20px 64px}
h1{font-size:1.7rem;margin:0;overflow-wrap:anywhere;line-height:1.25}
h2{font-size:1.25rem;margin:40px 0 12px;padding-bottom:6px;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:24px 0 8px}
header p{color:var(--soft);margin:4px 0 0}
p{max-width:75ch}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:20px 0}
.tile{background:var(--card);border-radius:10px;padding:12px 16px;display:flex;flex-direction:column}
.tile b{font-size:1.45rem;line-height:1.3;font-variant-numeric:tabular-nums;white-space:nowrap}
.tile small{color:var(--soft)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));gap:16px}
figure{margin:0;background:var(--card);border-radius:10px;padding:12px 14px;min-width:0}
figcaption{font-weight:600;margin-bottom:6px}
.chart svg{display:block;width:100%;height:auto}
.cells{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr));gap:16px}
.cells .drawing:first-child{grid-column:1/-1}
.drawing{display:flex;flex-direction:column}
.drawing svg{display:block;width:auto;max-width:100%;height:auto;margin:4px auto auto}
.drawing code{display:block;margin-top:10px;font-size:.78rem;color:var(--soft);overflow-wrap:anywhere}
code,pre{font-family:ui-monospace,"DejaVu Sans Mono","Liberation Mono",monospace}
pre{background:var(--card);border-radius:10px;padding:12px 14px;white-space:pre-wrap;overflow-wrap:anywhere;
font-size:.85rem}
.scroll{overflow-x:auto}
.wide .scroll svg{min-width:640px}
.wide{margin-top:12px}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums;width:100%}
th,td{text-align:right;padding:5px 12px 5px 0;border-bottom:1px solid var(--line);white-space:nowrap;
vertical-align:top}
th{color:var(--soft);font-weight:600}
.text{text-align:left}
td.text{overflow-wrap:anywhere}
.cell-text{font-family:ui-monospace,"DejaVu Sans Mono","Liberation Mono",monospace;font-size:.76rem;
white-space:normal;min-width:290px}
.winner td{font-weight:700}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;margin:8px 0 0;font-size:.85rem;color:var(--soft)}
.legend span{display:inline-flex;align-items:center;gap:6px}
.key{display:inline-block;width:14px;height:4px;border-radius:2px;background:var(--k)}
.key.round{width:9px;height:9px;border-radius:50%}
.warning{border-left:4px solid var(--b);padding:6px 12px;background:var(--card)}
details{margin:12px 0}
summary{cursor:pointer;color:var(--a)}
details.run>summary{font-size:1.1rem;padding:10px 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
.meter{display:grid;grid-template-columns:9.5em 1fr 4.2em;align-items:center;gap:8px;font-size:.88rem;padding:3px 0}
.meter i{background:var(--line);border-radius:4px;height:10px;overflow:hidden}
.meter b{display:block;height:100%;background:var(--a)}
.meter em{font-style:normal;text-align:right;font-variant-numeric:tabular-nums}
.a{--k:var(--a)}.b{--k:var(--b)}.c{--k:var(--c)}.d{--k:var(--d)}.e{--k:var(--e)}.f{--k:var(--f)}.g{--k:var(--g)}
.h{--k:var(--h)}.grey{--k:var(--grey)}
.line{fill:none;stroke:var(--k);stroke-width:2;stroke-linejoin:round}
.thin{stroke-width:1;opacity:.45}
.band{fill:var(--k);opacity:.18}
.dot{fill:var(--k)}
.dot.grey{opacity:.6}
.cross{stroke:var(--k);stroke-width:1.6;fill:none}
.segments{stroke:var(--k);stroke-width:1;opacity:.6;fill:none}
.bar{fill:var(--k)}
.grid{stroke:var(--line)}
.axis{stroke:var(--soft)}
.tick{fill:var(--soft);font-size:11.5px}
.label{fill:var(--soft);font-size:12px}
.cell text{fill:var(--text);font-family:inherit}
.cell .edge path{stroke:var(--grey)}
.cell .edge polygon{fill:var(--grey);stroke:var(--grey)}
.cell .node path,.cell .node polygon,.cell .node ellipse{fill:var(--back);stroke:var(--grey)}
.cell .separable path{fill:var(--separable);stroke:var(--a)}
.cell .pool path{fill:var(--pool);stroke:var(--b)}
.cell .identity path{fill:var(--identity);stroke:var(--c)}
footer{margin-top:48px;color:var(--soft);font-size:.85rem}
@media (max-width:600px){main{padding:16px 12px 48px}body{font-size:15px}.tiles{grid-template-columns:1fr 1fr}
.tile b{font-size:1.2rem}.tile{padding:10px 12px}.tick{font-size:13.5px}.label{font-size:14px}
.meter{grid-template-columns:7.5em 1fr 3.8em}}
@media print{figure,tr{break-inside:avoid}}
)";

}  // namespace renas
