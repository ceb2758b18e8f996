// wire.c - beanstalkd's and Redis's own protocol in C, so that what is measured is the server and no client library.
//
//   wire beanstalkd|redis PORT put JOBS THREADS    one by one, each answered; a connection for each thread
//   wire beanstalkd|redis PORT bulk JOBS           1,000 at a time, then their answers
//   wire beanstalkd|redis PORT paced JOBS          one at a time, the next some milliseconds after it has run
//   wire beanstalkd|redis PORT work SLOT           for ever; settles a job and asks for the next in one write
//
// The words to and from the benchmark are those of client.py, and so are the files that PEER_MARKS names: a page with
// a count and the time of the last job for each worker, and beside it the latencies of jobs whose body begins with l.
// Redis has no queue: the list pattern of its manual that loses nothing (BLMOVE to a second list, LREM when done).
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { bytes = 100, pipelined = 1000, slots = 64, slot_words = 8 };
typedef struct { int socket, at, end; char input[1 << 16]; } Link;
static int is_redis, port;
static _Atomic int64_t *marks;

static void die(const char *what) { perror(what); exit(1); }

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static Link *connect_to_server(void) {
    Link *link = calloc(1, sizeof *link);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    link->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(link->socket, (void *)&address, sizeof address)) die("connect");
    setsockopt(link->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return link;
}

static void say(Link *link, const char *words, size_t count) {
    for (ssize_t n; count > 0; words += n, count -= n)
        if ((n = write(link->socket, words, count)) <= 0) die("write");
}

static int next(Link *link) {
    if (link->at == link->end) {
        link->at = 0;
        if ((link->end = read(link->socket, link->input, sizeof link->input)) <= 0) die("the server closed");
    }
    return (unsigned char)link->input[link->at++];
}

static void line(Link *link, char text[256]) {
    int n = 0, c;
    while ((c = next(link)) != '\n')
        if (n < 255 && c != '\r') text[n++] = c;
    text[n] = 0;
}

/// One put as it goes over the wire; the length.
static int put_words(char *out, const char body[bytes]) {
    int n = sprintf(out, is_redis ? "*3\r\n$5\r\nLPUSH\r\n$4\r\njobs\r\n$%d\r\n" : "put 0 0 3600 %d\r\n", bytes);
    memcpy(out + n, body, bytes);
    memcpy(out + n + bytes, "\r\n", 2);
    return n + bytes + 2;
}

static void expect_put(Link *link) {
    char text[256];
    line(link, text);
    if (text[0] == (is_redis ? ':' : 'I')) return;
    fprintf(stderr, "the server answered %s\n", text);
    exit(1);
}

typedef struct { Link *link; int jobs; } Producer;

static void *put(void *argument) {
    Producer *self = argument;
    char body[bytes], words[256];
    memset(body, 'e', bytes);
    int count = put_words(words, body);
    for (int i = 0; i < self->jobs; i++) {
        say(self->link, words, count);
        expect_put(self->link);
    }
    return 0;
}

static void bulk(Link *link, int jobs) {
    char body[bytes], words[256];
    memset(body, 'e', bytes);
    int count = put_words(words, body);
    char *many = malloc(count * pipelined);
    for (int i = 0; i < pipelined; i++) memcpy(many + i * count, words, count);
    for (int n; jobs > 0; jobs -= n) {
        n = jobs < pipelined ? jobs : pipelined;
        say(link, many, n * count);
        for (int i = 0; i < n; i++) expect_put(link);
    }
}

static int64_t performed(void) {
    int64_t sum = 0;
    for (int i = 0; i < slots; i++) sum += marks[i * slot_words];
    return sum;
}

static void paced(Link *link, int jobs) {
    char body[bytes + 1], words[256];
    srandom(7);
    for (int i = 0; i < jobs; i++) {
        usleep(2000 + random() % 13000);
        int64_t before = performed();
        sprintf(body, "l%-99lld", (long long)now());
        say(link, words, put_words(words, body));
        expect_put(link);
        while (performed() == before) usleep(500);
    }
}

static void perform(int slot, const char *body) {
    static int latencies = -1;
    int64_t time = now();
    if (body[0] == 'l') {
        char name[512];
        snprintf(name, sizeof name, "%s-latency", getenv("PEER_MARKS"));
        if (latencies < 0) latencies = open(name, O_WRONLY | O_APPEND | O_CREAT, 0666);
        int64_t took = time - atoll(body + 1);
        if (write(latencies, &took, sizeof took) != sizeof took) die(name);
    }
    marks[slot * slot_words + 1] = time;
    marks[slot * slot_words]++;
}

static void work(Link *link, int slot) {
    static const char take[] =
        "*6\r\n$6\r\nBLMOVE\r\n$4\r\njobs\r\n$4\r\nheld\r\n$5\r\nRIGHT\r\n$4\r\nLEFT\r\n$1\r\n0\r\n";
    const char *ask = is_redis ? take : "reserve\r\n";
    char text[256], body[4096], words[8192];
    for (say(link, ask, strlen(ask));;) {
        int size;
        long id = 0;
        line(link, text);
        if ((is_redis ? sscanf(text, "$%d", &size) != 1 : sscanf(text, "RESERVED %ld %d", &id, &size) != 2)
            || size >= (int)sizeof body) { fprintf(stderr, "the server answered %s\n", text); exit(1); }
        for (int i = 0; i < size + 2; i++) body[i] = next(link);
        body[size] = 0;
        perform(slot, body);
        int n = is_redis
            ? sprintf(words, "*4\r\n$4\r\nLREM\r\n$4\r\nheld\r\n$1\r\n1\r\n$%d\r\n%s\r\n%s", size, body, ask)
            : sprintf(words, "delete %ld\r\n%s", id, ask);
        say(link, words, n);
        line(link, text);
        if (strcmp(text, is_redis ? ":1" : "DELETED")) { fprintf(stderr, "the server answered %s\n", text); exit(1); }
    }
}

/// Says that it is ready, and waits for the word to begin; the time.
static int64_t begin(void) {
    puts("ready");
    fflush(stdout);
    if (getchar() == EOF) exit(1);
    return now();
}

int main(int count, char **words) {
    if (count < 5) { fputs("wire beanstalkd|redis PORT put|bulk|paced|work ...\n", stderr); return 64; }
    is_redis = !strcmp(words[1], "redis");
    port = atoi(words[2]);
    int number = atoi(words[4]), threads = count > 5 ? atoi(words[5]) : 1;
    if (getenv("PEER_MARKS")) {
        int file = open(getenv("PEER_MARKS"), O_RDWR);
        marks = mmap(0, slots * slot_words * 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (marks == MAP_FAILED) die("PEER_MARKS");
    }
    if (!strcmp(words[3], "work")) work(connect_to_server(), number);
    Producer producers[threads];
    pthread_t crew[threads];
    for (int i = 0; i < threads; i++) producers[i] = (Producer){connect_to_server(), number / threads};
    int64_t time = begin();
    if (!strcmp(words[3], "bulk")) bulk(producers[0].link, number);
    else if (!strcmp(words[3], "paced")) paced(producers[0].link, number);
    else {
        for (int i = 0; i < threads; i++) pthread_create(&crew[i], 0, put, &producers[i]);
        for (int i = 0; i < threads; i++) pthread_join(crew[i], 0);
    }
    printf("%.9f\n", (now() - time) / 1e9);
}
