/* Load at a constant rate: `steady PORT RATE SECONDS PATH`, compiled with `cc -O2` when the bench runs.
 *
 * Each request is due at a moment of its own, evenly apart, whether those before it are answered or
 * not; its latency counts from that moment. So a server that stands still is charged for all who
 * would have come meanwhile, which is what "corrected for coordinated omission" means.
 *
 * In C, since a generator in Python needs all of a core for 25 000 requests a second: what it is
 * late itself would count as the server's. `busy` is the share of a core that it has needed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 32, QUEUE = 1 << 20, BUFFER = 1 << 18 };

static const double WARM_UP = 0.5; /* seconds that are not counted */
static const long NAP = 20000;     /* nanoseconds; so far this leaves its core to others */

/* A connection; `due` are the requests under way or waiting on it, from `first` to `last`. */
struct client {
    int fd;
    long left; /* bytes of the answer that is coming */
    unsigned first, last;
    double *due;
};

static char request[1024], buffer[BUFFER + 1];
static size_t request_length;

static void fail(const char *what) {
    fprintf(stderr, "steady: %s\n", what);
    exit(1);
}

static double clock_in(clockid_t which) {
    struct timespec time;
    clock_gettime(which, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static double now(void) { return clock_in(CLOCK_MONOTONIC); }

static void open_client(struct client *client, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int yes = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address)) fail(strerror(errno));
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
    client->due = calloc(QUEUE, sizeof(double));
}

static void ask(struct client *client) {
    if (send(client->fd, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length)
        fail("a request could not be sent");
}

/* Bytes of the answer that begins in the buffer; its head comes in one piece. */
static long whole_length(void) {
    char *end = strstr(buffer, "\r\n\r\n"), *length = strcasestr(buffer, "\r\ncontent-length:");
    if (strncmp(buffer, "HTTP/1.1 200 ", 13) || !end || !length || length > end)
        fail("an answer of another kind");
    return end + 4 - buffer + atol(length + 17);
}

/* Take what has come; whether an answer is whole now. */
static int take(struct client *client) {
    ssize_t count = recv(client->fd, buffer, BUFFER, 0);
    if (count <= 0) fail("the server has closed a connection");
    buffer[count] = 0;
    if (!client->left) client->left = whole_length();
    client->left -= count;
    if (client->left < 0) fail("more than was asked for");
    return !client->left;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int count, char **given) {
    if (count != 5) fail("PORT RATE SECONDS PATH");
    double rate = atof(given[2]), seconds = atof(given[3]) + WARM_UP;
    long total = rate * seconds, skipped = rate * WARM_UP, asked = 0, answered = 0;
    double *latencies = calloc(total, sizeof(double));
    struct client clients[CLIENTS] = {0};
    int poll = epoll_create1(0);
    request_length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                              given[4]);
    for (int i = 0; i < CLIENTS; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        open_client(&clients[i], atoi(given[1]));
        epoll_ctl(poll, EPOLL_CTL_ADD, clients[i].fd, &event);
    }
    double began = now();
    while (answered < total) {
        double time = now();
        for (; asked < total && began + asked / rate <= time; asked++) {
            struct client *client = &clients[asked % CLIENTS];
            client->due[client->last++ % QUEUE] = began + asked / rate;
            if (client->last - client->first == 1) ask(client);
        }
        struct epoll_event events[CLIENTS];
        int ready = epoll_wait(poll, events, CLIENTS, 0);
        for (int i = 0; i < ready; i++) {
            struct client *client = &clients[events[i].data.u32];
            if (!take(client)) continue;
            latencies[answered++] = now() - client->due[client->first++ % QUEUE];
            if (client->first != client->last) ask(client);
        }
        if (!ready && began + asked / rate - now() > NAP / 1e9)
            nanosleep(&(struct timespec){0, NAP}, NULL);
        if (time - began > 3 * seconds) fail("this rate is more than can be made");
    }
    double took = now() - began;
    double *counted = latencies + skipped;
    total -= skipped;
    qsort(counted, total, sizeof(double), by_size);
    printf("{\"rate\": %f, \"busy\": %f, \"p50\": %f, \"p99\": %f, \"p999\": %f, \"worst\": %f}\n",
           answered / took, clock_in(CLOCK_PROCESS_CPUTIME_ID) / took, counted[total / 2] * 1e3,
           counted[(long)(total * 0.99)] * 1e3, counted[(long)(total * 0.999)] * 1e3,
           counted[total - 1] * 1e3);
}
