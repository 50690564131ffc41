"""The viewer (users see it as the Usage Quota Dashboard): pages and an API of users' status."""
