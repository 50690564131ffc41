"""The viewer's JSON API.

What lives here: handlers, the models of answers, and the operations that handlers and the OpenAPI
document share. What must not: sentences for users, and HTML (they are in `pages`).
"""
