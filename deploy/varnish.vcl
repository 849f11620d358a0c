vcl 4.1;
# Varnish in front of Freshet, see docs/operating.md; check it with `varnishd -C -f FILE`. Needs varnish-modules.
# Queries of feeds can have access keys, so log requests without: `varnishncsa -F '%h %t "%m %U" %s %b'`.

import std;
import vsthrottle;

probe ready {
    .request = "GET /readyz HTTP/1.1" "Host: freshet" "Connection: close";
    .interval = 2s;
    .timeout = 3s;
    .window = 2;
    .threshold = 1;
    .initial = 1;
}
backend freshet {
    .host = "127.0.0.1";
    .port = "5000";
    .connect_timeout = 2s;
    .between_bytes_timeout = 60s; # event streams send a comment every 15 s
    .probe = ready;
}
# The same server while it is not ready: its database is down, but it can still serve lists.
backend unready {
    .host = "127.0.0.1";
    .port = "5000";
    .connect_timeout = 2s;
    .between_bytes_timeout = 60s;
}
acl here {
    "127.0.0.1";
    "::1";
}

sub vcl_recv {
    unset req.http.X-Coding;
    if (req.restarts == 0) {
        if (vsthrottle.is_denied("" + client.ip, 1500, 10s)) {
            return (synth(429));
        }
        # Only a program on this machine that terminates TLS may set X-Forwarded-Proto. See TRUSTED_PROXIES.
        if (client.ip !~ here || !req.http.X-Forwarded-Proto) {
            set req.http.X-Forwarded-Proto = "http";
        }
        unset req.http.X-Forwarded-Host;
        unset req.http.X-Real-Ip;
    }
    set req.backend_hint = freshet;
    set req.grace = 0s;
    if (!std.healthy(freshet)) {
        set req.backend_hint = unready;
        set req.grace = 24h; # as long as stale-if-error allows
    } else if (req.restarts > 0) {
        set req.grace = 24h;
    }
    if (req.url ~ "^/metrics(\?|$)" && client.ip !~ here) {
        return (synth(403));
    }
    # Lists, single objects and feeds: the same for all clients, cached as Cache-Control says. Other requests are
    # passed on, also those with an escape in a parameter's name.
    if ((req.method != "GET" && req.method != "HEAD") ||
        req.url !~ "^/(api/(artists|albums)(/[0-9A-Za-z]{1,22})?|feeds/albums\.[a-z]{1,4})/?(\?|$)" ||
        req.url ~ "[?&][^=&]*[%+]") {
        return (pass);
    }
    # The request to Freshet and the key of the response are built from the known parameters, in one order.
    set req.url = regsub(req.url, "\?", "?&");
    set req.url = regsuball(req.url, "&(?!(release_limit|limit|offset|cursor|type|kind|artist|exclude|upcoming|days|tz|released_after|released_before|market|at|q|sort|include|fields)(=|&|$))[^&]*", "");
    set req.url = std.querysort(regsub(regsub(req.url, "\?&", "?"), "\?$", ""));
    # One copy per coding that Freshet offers, however clients write Accept-Encoding.
    set req.http.X-Coding = "identity";
    if (req.http.Accept-Encoding ~ "(?i)(^|,) *br *(,|$|; *q=(1|0\.0*[1-9]))") {
        set req.http.X-Coding = "br";
    } else if (req.http.Accept-Encoding ~ "(?i)(^|,) *gzip *(,|$|; *q=(1|0\.0*[1-9]))") {
        set req.http.X-Coding = "gzip";
    }
    set req.http.Accept-Encoding = req.http.X-Coding;
    return (hash);
}

sub vcl_hash {
    hash_data(req.url);
    hash_data(req.http.X-Coding);
    return (lookup);
}

sub vcl_backend_fetch {
    if (bereq.http.X-Coding) {
        set bereq.http.Accept-Encoding = bereq.http.X-Coding;
        unset bereq.http.X-Coding;
        unset bereq.http.Cookie;
    }
}

sub vcl_backend_response {
    if (beresp.status == 200 && beresp.http.Cache-Control) {
        set beresp.grace = 24h;
    } else {
        set beresp.ttl = 0s;
        set beresp.grace = 0s;
        set beresp.uncacheable = true;
    }
}

sub vcl_deliver {
    if (resp.status >= 500 && req.http.X-Coding && req.restarts == 0) {
        return (restart); # a stale response may be available
    }
}

sub vcl_synth {
    if (resp.status == 429) {
        set resp.http.Content-Type = "application/problem+json";
        set resp.http.Retry-After = "1";
        set resp.http.RateLimit-Policy = {""rate";q=1500;w=10"};
        set resp.http.Access-Control-Allow-Origin = "*";
        set resp.body = """{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Too many requests from your address at once; try again in a moment."}""";
        return (deliver);
    }
}
