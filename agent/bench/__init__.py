"""The five scenarios against providers, without speech: TTFT, speed, errors, cost per successful task, load.

scenarios.py   the scenario files task.py        one task against one model: requests, checks, what it took schedule.py
the order of the requests: interleaved, alone and under load, within a budget rows.py        attempts -> a row for each
model and scenario show.py        the table and the page
"""
