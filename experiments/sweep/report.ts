// One page over everything that a folder of results holds: the paper's claims and ours, with evidence and verdicts, then every figure
// and table with its caption, its command and its data. One file: drawings and styles are inside, and nothing is fetched.

import { type Cell, nameOf } from '../cells/cell.js';
import type { Plan } from '../cells/grids.js';
import { TASKS } from '../cells/scale.js';
import { marksOf } from '../evidence/chart.js';
import { isOfFew } from '../evidence/claims.js';
import { drawing } from '../evidence/drawing.js';
import { type Claim, NUMBERS, type Table, type Verdict } from '../evidence/experiment.js';
import { glossary } from '../evidence/glossary.js';
import { escaped } from '../evidence/html.js';
import { type Conducted, ofSeeds, planOf } from './conduct.js';

const STYLE = `
:root { color-scheme: light dark; --ground: #fff; --text: #1b1e23; --soft: #5a616b; --line: #d9dce1; --raised: #f5f6f8;
  --holds: #17803d; --partly: #9a6700; --fails: #c2332b; --none: #6a717b; }
@media (prefers-color-scheme: dark) { :root { --ground: #16181d; --text: #e4e6ea; --soft: #a2a9b4; --line: #343941; --raised: #1e2127;
  --holds: #4cc271; --partly: #dba93a; --fails: #f2766c; --none: #8d95a1; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1rem; font-size: 1.2rem; } h3 { font-size: 1rem; margin-bottom: .3rem; }
p.soft, figcaption, .note { color: var(--soft); font-size: .875rem; }
figure { margin: 1rem 0; } .wide { overflow-x: auto; } .wide svg { display: block; min-width: 40rem; max-width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; } th, td { text-align: left; vertical-align: top; padding: .4rem .6rem .4rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
.claims th:nth-child(1) { width: 6.5rem; } .claims th:nth-child(2) { width: 30%; } .claims th:nth-child(3) { width: 20%; } summary { cursor: pointer; margin-top: 1rem; }
th { font-weight: 600; } .claims th { overflow-wrap: normal; } .data td, .data th { overflow-wrap: normal; min-width: 5rem; } .data :is(td, th):first-child { position: sticky; left: 0; background: var(--ground); }
.verdict { font-weight: 600; white-space: nowrap; } .holds { color: var(--holds); } .partly { color: var(--partly); } .fails { color: var(--fails); } .not-decided, .not-run { color: var(--none); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .9rem; } dt { font-weight: 600; } dd { margin: 0; }
nav { font-size: .9rem; } nav a { margin-right: .8rem; } nav a, a.note { white-space: nowrap; }
code { background: var(--raised); padding: .1rem .35rem; border-radius: .25rem; font-size: .85em; overflow-wrap: anywhere; } a { color: inherit; }
@media (max-width: 40rem) { .claims thead { display: none; } .claims tr { display: block; border-bottom: 1px solid var(--line); padding: .6rem 0; } .claims td { display: block; border: 0; padding: .1rem 0; } .claims td[data-name]::before { content: attr(data-name) ": "; color: var(--soft); } }
`;

/** The folder's page, with a section for every experiment whose files are there and have rows at this scale. */
export async function report(all: readonly Conducted[], plan: Plan): Promise<string> {
  const { drawn } = await drawing();
  const parts = all.filter(isShown).map((one) => section(one, drawn));
  const links = all.filter(isShown).map(({ experiment: { name } }) => `<a href="#${name}">${name}</a>`);
  return page(
    `<h1>Deconstructing Lottery Tickets, run again</h1>
<p>Zhou, Lan, Liu and Yosinski 2019, <a href="https://arxiv.org/abs/1905.01067">arXiv 1905.01067</a>: what the paper says, and what Seedmask measures. ${escaped(NUMBERS)} The paper's numbers are recalled: of the 28 values of its table six agree with its abstract or with what others quote of it, the rest could not be checked. Ours are test accuracies in per cent, mean (least to greatest, of how many seeds or tasks); whatever is chosen is chosen on validation rows. A1 to A22 number our acceptance bands: a claim with a band holds where the mean of ours lies in it, an order where four of five seeds show it. A claim is not decided where its cells were run, but not at a scale or level that decides it, and not run where cells that it needs are not there. Bands are ours, not the paper's. Scale: ${escaped(SCALES[plan.scale])}.</p>
<nav>${links.join(' ')}</nav>
<details><summary>What criteria, actions and columns are called</summary>${glossary()}</details>
${claimsTable("The paper's claims", claimsOf(all, false))}
${claimsTable('Claims beyond the paper', claimsOf(all, true))}
${parts.join('\n')}`,
  );
}

/** What has a section of its own. */
const isShown = ({ done, published }: Conducted): boolean => done > 0 && published;

const SCALES: Record<Plan['scale'], string> = {
  quick: 'quick, which shows the path and decides nothing',
  budget: 'budget, shortened where a note or a caption says so',
  full: "full, the paper's definition",
};

const page = (body: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Deconstructing Lottery Tickets, run again</title>
<style>${STYLE}</style></head>
<body>
${body}
</body></html>
`;

/** Whether a verdict is one on what was found; in the order of the page. */
const DECIDES: Record<Verdict, boolean> = { holds: true, partly: true, fails: true, 'not decided': false, 'not run': false };

/** A claim and the name of the section that shows its figure, if there is one. */
type Linked = Claim & { readonly figure?: string };

const claimsOf = (all: readonly Conducted[], beyond: boolean): Linked[] =>
  all
    .filter(({ experiment }) => (experiment.beyond ?? false) === beyond)
    .flatMap((one) => one.claims.map((claim) => ({ ...claim, figure: isShown(one) ? one.experiment.name : undefined })));

function claimsTable(title: string, claims: readonly Linked[]): string {
  if (claims.length === 0) return '';
  const of = (verdict: Verdict) => claims.filter((claim) => claim.verdict === verdict);
  const given = (Object.keys(DECIDES) as Verdict[]).filter((verdict) => of(verdict).length > 0);
  const counts = given.map((verdict) => {
    const few = DECIDES[verdict] ? of(verdict).filter(isOfFew).length : 0;
    return `${of(verdict).length} ${verdict}${few > 0 ? ` (${few} of one or two seeds)` : ''}`;
  });
  const idle = of('not run');
  return `<h2>${title}</h2>
<p class="soft">${counts.join(', ')}. Verdicts are computed from the rows; ★: a difference, either way, by a paired t test over three seeds or more, two-sided, p &lt; 0.05, not corrected for their number.</p>
${rowsOf(claims.filter((claim) => !idle.includes(claim)))}
${idle.length > 0 ? `<details><summary>${idle.length} not run</summary>${rowsOf(idle)}</details>` : ''}`;
}

function rowsOf(claims: readonly Linked[]): string {
  if (claims.length === 0) return '';
  const cell = (name: string, text: string, note = '') =>
    `<td${text || note ? ` data-name="${name}"` : ''}>${escaped(text)}${note ? `<div class="note">${escaped(note)}</div>` : ''}</td>`;
  const rows = claims.map(
    ({ text, paper, accepted, ours, verdict, note, figure }) =>
      `<tr><td class="verdict ${verdict.replace(' ', '-')}">${verdict}</td><td>${escaped(text)}${figure ? ` <a class="note" href="#${figure}">${figure}</a>` : ''}</td>${cell('the paper', paper, accepted && `accepted: ${accepted}`)}${cell('ours', ours, note)}</tr>`,
  );
  return `<table class="claims"><thead><tr><th>verdict</th><th>claim</th><th>the paper</th><th>ours</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>`;
}

/** The seeds that were asked for, else those that drawings show, where a command without a number of them gives others. */
function runsOf({ experiment, plan, pictures }: Conducted): string {
  if (!ofSeeds(experiment)) return '';
  const shown = Math.max(0, ...pictures.flatMap(({ chart }) => marksOf(chart).map(({ n }) => n)));
  const runs = plan.asked ?? shown;
  return runs === 0 || runs === seedsOf(experiment.cells(planOf(plan.scale))).length ? '' : ` --runs ${runs}`;
}

/** Cells that a plan asks for and that are not there, with their seeds where they are of several. */
function absentText({ experiment, plan, cells, missing }: Conducted): string {
  if (missing === 0) return '';
  const there = new Set(cells.map(nameOf));
  const seeds = seedsOf(experiment.cells(plan).filter((cell) => !there.has(nameOf(cell))));
  const whose = ofSeeds(experiment) ? `, of ${seeds.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')}` : '';
  return ` Cells that are not here: ${missing}${whose}.`;
}

const seedsOf = (cells: readonly Cell[]): number[] => [...new Set(cells.map(({ seed }) => seed))].sort((a, b) => a - b);

function section(conducted: Conducted, draw: (picture: Conducted['pictures'][number]) => string): string {
  const { experiment, plan, pictures, tables, files, release } = conducted;
  const { name, about } = experiment;
  const scale = plan.scale === 'budget' ? '' : ` --${plan.scale}`;
  const runs = runsOf(conducted);
  const tasks = !experiment.ofTasks || plan.tasks === TASKS[plan.scale] ? '' : ` --tasks ${plan.tasks}`;
  const links = [`${name}.csv`, `${name}.json`, ...pictures.map((p) => `${p.name}.svg`)];
  const models = files.length > 0 ? ` Further files that the command writes: ${escaped(files.map((f) => f.name).join(', '))}.` : '';
  const by = release === undefined ? '' : ` Computed by Seedmask ${escaped(release)}.`;
  return `<h2 id="${name}">${name}: ${escaped(about)}</h2>
<p><code>seedmask experiment ${name}${scale}${runs}${tasks} --out FOLDER</code></p>
${tables.map(tableOf).join('\n')}
${pictures.map((picture) => `<figure><h3>${escaped(picture.title)}</h3><div class="wide">${draw(picture)}</div><figcaption>${escaped(picture.caption)}</figcaption></figure>`).join('\n')}
<p class="soft">Data: ${links.map((link) => `<a href="${link}">${link}</a>`).join(', ')}.${models}${absentText(conducted)}${by}</p>`;
}

/** Names of criteria are long for a column of many. */
const breakable = (text: string): string => escaped(text).replaceAll('_', '_<wbr>');

const tableOf = ({ title, caption, head, rows }: Table): string =>
  `<figure><h3>${escaped(title)}</h3><div class="wide"><table class="data"><thead><tr>${head.map((cell) => `<th>${escaped(cell)}</th>`).join('')}</tr></thead><tbody>
${rows.map((row) => `<tr>${row.map((cell) => `<td>${breakable(cell)}</td>`).join('')}</tr>`).join('\n')}
</tbody></table></div><figcaption>${escaped(caption)}</figcaption></figure>`;
