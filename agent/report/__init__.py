"""A run as a page and as pictures: where the milliseconds of every turn went.

It reads the records of a trace, independent of how they were measured.

    folder.py     the page with its pictures beside it, which is what `--out` holds
    stages.py     the words of the report: stages with their fixed colours, modes, outcomes, the glossary
    findings.py   what the run says: the headline, the levers, the ledger

    waterfall.py  where the bars of one turn lie on a time axis
    figures.py    where the charts over all turns lie: grid, stacked critical path, distribution
    ticks.py      round numbers along an axis

    page.py       the page of a run, from page.html.j2
    template.py   what every page shares: template engine, filters, style and script
    pictures.py   the charts as SVG and PNG files: bars.py, turn_picture.py, curves.py, drawn by svg.py
    terminal.py   tables and lines on the terminal
"""
