/* The least that a request can cost: `client URL N` makes N GETs with libcurl over one kept connection, and prints the milliseconds of each.
 * bench/run compares a sandbox's requests with it. */
#include "sample.h"
#include <curl/curl.h>

static size_t count(char *bytes, size_t size, size_t n, void *user) {
    (void)bytes;
    *(size_t *)user += size * n;
    return size * n;
}

static double get(CURL *curl, const size_t *received) {
    long status = 0;
    const size_t before = *received;
    const double start = now_ms();
    const CURLcode code = curl_easy_perform(curl);
    const double end = now_ms();
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK || status != 200 || *received - before != 1024)
        fail("GET", code != CURLE_OK ? curl_easy_strerror(code) : "isn't the server's answer");
    return end - start;
}

int main(int argc, char **argv) {
    if (argc != 3)
        fail("usage", "client URL N");
    const int n = number(argv[2]);
    double *samples = calloc((size_t)n, sizeof *samples);
    size_t received = 0;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL *curl = curl_easy_init();
    if (samples == NULL || curl == NULL)
        fail("client", "out of memory");
    curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, count);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &received);
    get(curl, &received);
    for (int i = 0; i < n; i++)
        samples[i] = get(curl, &received);
    print_samples(samples, n);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    free(samples);
    return 0;
}
