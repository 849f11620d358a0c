"""Commands of the documents, by the way in which a test runs them."""

BY_A_SHELL = [  # in a folder with an `.env.example`, with places of the system moved there
    "install -m 600 .env.example .env",
    "install -m 600 -D /opt/freshet/.env.example /etc/freshet/freshet.env",
    "cp /opt/freshet/deploy/freshet.service /etc/systemd/system/",
    "mkdir -p /var/cache/nginx",
    "uname -m",
    "getconf LONG_BIT",
    "umask 077",
    'python3 -c "import secrets; print(secrets.token_urlsafe(48))"',
]
ON_A_DATABASE = {
    "downgrade": "ALEMBIC_CONFIG=setup.cfg python -m alembic downgrade NUMBER",
    "create": "createdb -E UTF8 -l C -T template0 -O freshet freshet",
    "restore": "pg_restore --no-owner -d NAME freshet.dump",
}
USAGE = [
    "python manage.py run [-h HOST] [-p PORT] [--processes N] [--demo [--faults FILE]] [--no-demo]",
    "python manage.py sync [--source S]",
]
ASKING = [
    "curl 'http://127.0.0.1:5000/api/artists/?limit=1'",
    "curl 'http://127.0.0.1:5000/api/changes/?after=812-0b5e61f3&include=stored'",
    "curl -N http://127.0.0.1:5000/api/events",
]
MY_ARTISTS = [
    "python manage.py watch add https://open.spotify.com/artist/0LyfQWJT6nXafLPZqxe9Of",
    "python manage.py key create reader --scope read",
    "curl -H 'Authorization: Bearer KEY' 'http://127.0.0.1:5000/api/my/following/?limit=1'",
    "curl 'http://127.0.0.1:5000/feeds/my/albums.atom?key=KEY'",
]
STANDIN = "python manage.py standin --help"
HERE = {*MY_ARTISTS, *BY_A_SHELL, *ON_A_DATABASE.values(), *USAGE, *ASKING, STANDIN}
