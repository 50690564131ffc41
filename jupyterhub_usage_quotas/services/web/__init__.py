"""What every service beside the Hub needs: its environment, handlers, the Hub's API, parameters,
rendering, and how it is served and ended.

What must not live here: anything about one service. A service brings its folders, its handlers and
its context, and imports this; nothing here imports a service (`.importlinter` holds it).
"""
