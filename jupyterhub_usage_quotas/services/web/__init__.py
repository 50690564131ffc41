"""What every service beside the Hub needs.

What lives here: a service's environment, handlers, the Hub's API, parameters, rendering, and how it
is served and ended. What must not: anything about one service. A service brings its folders, its
handlers and its context, and imports this; nothing here imports a service (`.importlinter` holds
it).
"""
