"""The page of what every minute costs."""

# ruff: noqa: E501

PAGE = """\
# Speed of minutes

Made by `make bench-minute` on {date}, on {machine}, load {load}.
Every minute a Hub reads what is new, tallies where its users stand, and is scraped. A real Prometheus
{version} on the same machine has the last two hours of the servers that run; the {days} days before, two
sessions a user and day, were put into the meter's own tables. Medians of {minutes} minutes, milliseconds
of the processor.

"tally" is everything that follows a reading: the Hub's users are read from its database, and those
whose standing may have changed are judged; "hold" is the longest time for which it holds the event
loop.

{refreshes}

## A scrape

Of the gauges of users alone: by default those of users who are active or near a limit, and with
`c.UsageQuotaManager.export_usage = True` everybody's.

{scrapes}

## The table of all users

"view" is what the first visitor in a minute waits for: nothing of it is worked out before.

{tables}

## What is in flight

What the Hub adds for a launch to what is known, with a policy that all share, by the servers that
run.

{flights}
"""
