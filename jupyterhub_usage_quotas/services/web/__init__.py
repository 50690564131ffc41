"""What every service beside the Hub needs: handlers, permissions, the Hub's API, rendering.

What must not live here: anything about one service's pages.
"""
