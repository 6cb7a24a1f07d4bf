/* The search from C, or from any language that calls C: ask for a candidate, measure it in your own way,
 * tell its fitness.
 *
 * No C++ exception leaves these functions and nothing is global: a search may be used by one thread at a
 * time, two searches by two threads. Functions that return int give 0 for success, -1 for an error, which
 * renas_last_error then explains; an error changes nothing. */
#ifndef RENAS_RENAS_H
#define RENAS_RENAS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct renas_search renas_search;

/* How an evaluation ended, for renas_tell. */
enum { RENAS_OK = 0, RENAS_DIVERGED = 1, RENAS_OUT_OF_MEMORY = 2, RENAS_LOST = 3 };

typedef struct renas_options {
  const char* strategy;   /* "renas", "evolution", "random", ...; NULL: "renas" */
  const char* controller; /* "default" or "paper"; NULL: "default" */
  int population;         /* 0: 20 */
  int sample;             /* members drawn a tournament, at most population; 0: 10 */
  uint64_t seed;
} renas_options;

/* Makes a search.
 * space    "renas" (the paper's, 5 blocks), "nas-bench-201", or the text of a space of your own, in the
 *          form of SPACES.md
 * options  NULL: all defaults
 * error    where not NULL, receives a message of at most error_size bytes, its end included
 * Returns NULL on an error. Free it by renas_free. */
renas_search* renas_create(const char* space, const renas_options* options, char* error,
                           int error_size);
void renas_free(renas_search* search); /* NULL is allowed */

/* The next candidate: its number and its genome's text, which lives until the next call on `search`.
 * Where not NULL, *parent receives the number of the candidate it was made from, -1 for none. */
int renas_ask(renas_search* search, uint64_t* id, const char** genome, int64_t* parent);

/* What became of candidate `id`: one of RENAS_OK ... and, if RENAS_OK, its fitness in [0, 1]. */
int renas_tell(renas_search* search, uint64_t id, int status, double fitness);

/* The best so far; an error before the first success. The text lives until the next call. */
int renas_best(renas_search* search, uint64_t* id, const char** genome, double* fitness);

/* Writes everything to a file, with candidates in flight (beside, then renamed over the old one), and
 * reads it into a search made with the same space and options, which then goes on as if it had never
 * stopped. */
int renas_save(renas_search* search, const char* path);
int renas_load(renas_search* search, const char* path);

/* Why the last call on `search` failed; "" if it did not. Lives until the next call. */
const char* renas_last_error(const renas_search* search);

#ifdef __cplusplus
}
#endif

#endif
