/* The search from C, or from any language that can call C: ask for a candidate, measure its fitness
 * in your own way, tell the fitness. Below it, the use of a trained model: open it, predict
 * classes.
 *
 * No C++ exception leaves these functions, and there is no global state: a search may be used by
 * one thread at a time, two searches by two threads. Functions that return int return 0 on success
 * and -1 on an error. An error changes nothing, and renas_last_error explains it. */
#ifndef RENAS_RENAS_H
#define RENAS_RENAS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct renas_search renas_search;

/* How an evaluation ended, for renas_tell. */
enum { RENAS_OK = 0, RENAS_DIVERGED = 1, RENAS_OUT_OF_MEMORY = 2, RENAS_LOST = 3 };

/* What a search is made from. All zeros are the defaults. */
typedef struct renas_options {
  const char* strategy;   /* "renas", "evolution", "random", ...; NULL: "renas" */
  const char* controller; /* "default" or "paper"; NULL: "default" */
  int population;         /* number of members; 0: 20 */
  int sample;             /* tournament size, at most population; 0: 10 */
  uint64_t seed;
} renas_options;

/* Makes a search.
 * space    "renas" (the paper's space of 5 blocks), "renas-2-cells" (a normal and a reduction cell
 *          of it), "nas-bench-201", or the text of your own search space in the form of SPACES.md
 * options  NULL: all defaults
 * error    if not NULL, receives a message of at most error_size bytes, its end included
 * Returns NULL on an error. Free the search with renas_free. */
renas_search* renas_create(const char* space, const renas_options* options, char* error,
                           int error_size);
/* Frees a search. NULL is allowed. */
void renas_free(renas_search* search);

/* Asks for the next candidate: its id and the text of its genome, which lives until the next call
 * on `search`. If parent is not NULL, *parent receives the id of the member that the candidate was
 * made from, or -1 if it has no parent. */
int renas_ask(renas_search* search, uint64_t* id, const char** genome, int64_t* parent);

/* Whether whoever evaluates had better wait for a result before the next renas_ask: 1 or 0, or -1
 * on an error. 1 only while many candidates are in flight and hardly one was told; renas_ask
 * answers all the same. Tell candidates whose result will never come as RENAS_LOST, or it may
 * stay 1. */
int renas_waits(renas_search* search);

/* Tells how the evaluation of candidate `id` ended: a status RENAS_OK ... and, if it is RENAS_OK,
 * the fitness in [0, 1]. */
int renas_tell(renas_search* search, uint64_t id, int status, double fitness);

/* Gives the candidate with the highest fitness so far. Before the first success this is an error.
 * The text lives until the next call; each pointer may be NULL. */
int renas_best(renas_search* search, uint64_t* id, const char** genome, double* fitness);

/* renas_save writes the whole search, candidates in flight included, to a file, which replaces an
 * old one only when it is complete. renas_load reads the file into a search made with the same
 * space and options, which then continues as if it had never stopped. */
int renas_save(renas_search* search, const char* path);
int renas_load(renas_search* search, const char* path);

/* The message of the last call's error, or "" if the call succeeded. It lives until the next call.
 */
const char* renas_last_error(const renas_search* search);

/* A trained model that is asked for the classes of pictures (renas/predictor.h). It is there where
 * the library was built with HDF5. One thread at a time may use a predictor; threads each open
 * their own. */
typedef struct renas_predictor renas_predictor;

/* Opens a model file that renas-search or renas-train wrote. error as in renas_create. Returns NULL
 * on an error. */
renas_predictor* renas_predictor_open(const char* path, char* error, int error_size);
/* Frees a predictor. NULL is allowed. */
void renas_predictor_close(renas_predictor* predictor);

/* The number of classes, and the name of class `label` (0, 1, ...; NULL where there is no such
 * class), which lives as long as the predictor. */
int renas_predictor_classes(const renas_predictor* predictor);
const char* renas_predictor_class_name(const renas_predictor* predictor, int label);

/* Predicts the class of a JPEG or PNG file of `size` bytes in memory, of any size in pixels: writes
 * the probability of each class to probabilities[count]; count must be the number of classes. */
int renas_predictor_predict(renas_predictor* predictor, const void* file, size_t size,
                            float* probabilities, int count);
/* The same for pixels[height][width][channels], with as many channels as the model takes (1: grey,
 * 3: red, green, blue). */
int renas_predictor_predict_pixels(renas_predictor* predictor, const unsigned char* pixels,
                                   int height, int width, int channels, float* probabilities,
                                   int count);

/* As renas_last_error. */
const char* renas_predictor_last_error(const renas_predictor* predictor);

#ifdef __cplusplus
}
#endif

#endif
