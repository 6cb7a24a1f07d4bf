/* The search from C: asks, tells, saves, loads, and meets its errors. Ends with 0 if all went well. */
#include <renas/renas.h>
#include <stdio.h>
#include <string.h>

#define EXPECT(condition)                                                        \
  do {                                                                           \
    if (!(condition)) {                                                          \
      fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, error); \
      return 1;                                                                  \
    }                                                                            \
  } while (0)

static char error[256];

static const char* const space =
    "block\n operator colour red green blue\n operator shape round square\n"
    "block\n input from 1\n operator size small large\n";

/* The fitness of this example: large green squares are best. */
static double fitness_of(const char* genome) {
  return 0.1 + (strstr(genome, "green") ? 0.4 : 0) + (strstr(genome, "square") ? 0.2 : 0) +
         (strstr(genome, "large") ? 0.3 : 0);
}

static int step(renas_search* search, char* text, size_t size) {
  uint64_t id;
  const char* genome;
  int64_t parent;
  if (renas_ask(search, &id, &genome, &parent) != 0) return -1;
  snprintf(text, size, "%s", genome);
  return renas_tell(search, id, RENAS_OK, fitness_of(text));
}

int main(int argc, char** argv) {
  const char* file = argc > 1 ? argv[1] : "search.state";
  renas_options options = {0};
  renas_search *search, *again;
  char text[128], other[128];
  const char* genome;
  uint64_t id;
  double fitness;
  int i;

  EXPECT(renas_create("block\n operator empty\n", NULL, error, sizeof error) == NULL);
  EXPECT(strstr(error, "line 2") && strstr(error, "no choices"));
  options.strategy = "annealing";
  EXPECT(renas_create(space, &options, error, sizeof error) == NULL);
  EXPECT(strstr(error, "annealing"));
  EXPECT(renas_create(NULL, NULL, error, sizeof error) == NULL);

  options.strategy = "renas";
  options.population = 6;
  options.sample = 3;
  options.seed = 7;
  search = renas_create(space, &options, error, sizeof error);
  again = renas_create(space, &options, error, sizeof error);
  EXPECT(search && again);
  EXPECT(renas_best(search, &id, &genome, &fitness) == -1);
  EXPECT(strstr(renas_last_error(search), "no candidate"));
  EXPECT(renas_waits(search) == 0 && renas_waits(NULL) == -1);
  for (i = 0; i < 60; ++i) EXPECT(step(search, text, sizeof text) == 0);
  EXPECT(renas_best(search, &id, &genome, &fitness) == 0);
  EXPECT(fitness > 0.99 && strcmp(genome, "green+square,1+large") == 0);

  EXPECT(renas_tell(search, 12345, RENAS_OK, 0.5) == -1);
  EXPECT(strstr(renas_last_error(search), "12345 was never asked"));
  EXPECT(renas_tell(search, 0, RENAS_OK, 0.5) == -1);
  EXPECT(strstr(renas_last_error(search), "told before"));
  EXPECT(renas_ask(search, &id, &genome, NULL) == 0);
  EXPECT(renas_tell(search, id, RENAS_OK, 2.0) == -1);
  EXPECT(renas_tell(search, id, 17, 0.5) == -1);
  EXPECT(renas_tell(search, id, RENAS_LOST, 0) == 0);
  EXPECT(renas_tell(NULL, 0, RENAS_OK, 0.5) == -1);

  EXPECT(renas_ask(search, &id, &genome, NULL) == 0); /* in flight while saved */
  EXPECT(renas_save(search, "/nowhere/at/all") == -1);
  EXPECT(renas_save(search, file) == 0);
  EXPECT(renas_load(again, file) == 0);
  EXPECT(renas_tell(search, id, RENAS_OK, 0.25) == 0);
  EXPECT(renas_tell(again, id, RENAS_OK, 0.25) == 0);
  for (i = 0; i < 60; ++i) {
    EXPECT(step(search, text, sizeof text) == 0);
    EXPECT(step(again, other, sizeof other) == 0);
    EXPECT(strcmp(text, other) == 0);
  }
  EXPECT(renas_load(again, "/nowhere/at/all") == -1);
  EXPECT(strstr(renas_last_error(again), "/nowhere/at/all"));
  renas_free(search);
  renas_free(again);
  remove(file);

  search = renas_create("renas-2-cells", NULL, error, sizeof error);
  EXPECT(search && renas_ask(search, &id, &genome, NULL) == 0);
  EXPECT(strncmp(genome, "renas/", 6) == 0 && strchr(genome + 6, '/'));
  renas_free(search);
  puts("the C interface works");
  return 0;
}
