/* The floor with Cloister's features: the same namespaces, an overlay of an id-mapped layer and a capped upper, /dev,
 * masked paths, groups of all hierarchies with limits, Landlock, no capabilities, a filter as long as ours, and a link
 * with an address where BRIDGE is not "-". It prepares nothing before it starts but the layer and the user namespace,
 * and it checks, records and reports nothing.
 *
 *   bench_floor_full LAYER USERNS GROUP BRIDGE INSTRUCTIONS TIME PROGRAM [ARGUMENT...]
 *
 * LAYER: a mounted read-only tree. USERNS: a file of the user namespace that maps the layer's ids. GROUP: the parent
 * group, there in every hierarchy. TIME: gets the microseconds from the start to the program's exec.
 * Exits with the program's code, or 125 when a step failed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/floor/steps.h"

struct Arguments {
  const char* layer;
  const char* userNamespace;
  const char* group;
  const char* bridge;
  unsigned instructions;
  const char* time;
  char** program;
};

static void await(int pipe) {
  char byte;
  need(read(pipe, &byte, 1) == 1, "proceed");
}

static void child(const struct Arguments* arguments, const struct Tree* tree, int proceed) {
  await(proceed);
  becomeRootInside();
  enterTree(tree);
  await(proceed);
  configureLinks(arguments->bridge != NULL);
  need(unshare(CLONE_NEWCGROUP) == 0, "unshare");
  confine(arguments->instructions);
  execv(arguments->program[0], arguments->program);
  need(0, "exec");
}

static long microsSince(const struct timespec* begin) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (now.tv_sec - begin->tv_sec) * 1000000 + (now.tv_nsec - begin->tv_nsec) / 1000;
}

static int launch(const struct Arguments* arguments) {
  struct timespec begin;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  const int time = open(arguments->time, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  need(time >= 0, arguments->time);
  const struct Groups groups = makeGroups(arguments->group);
  const struct Tree tree = makeTree(arguments->layer, arguments->userNamespace);
  int proceed[2];
  int executed[2];
  int status = 0;
  char nothing;
  need(pipe2(proceed, O_CLOEXEC) == 0 && pipe2(executed, O_CLOEXEC) == 0, "pipe");
  const pid_t pid = cloneInto(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
                              groups.directories[0]);
  if (pid == 0) child(arguments, &tree, proceed[0]);
  close(executed[1]);
  mapIds(pid);
  need(write(proceed[1], "m", 1) == 1, "mapped");
  joinGroups(&groups, pid);
  if (arguments->bridge != NULL) linkNamespace(pid, arguments->bridge);
  need(write(proceed[1], "g", 1) == 1, "go");
  need(read(executed[0], &nothing, 1) == 0, "executed");
  dprintf(time, "%ld\n", microsSince(&begin));
  need(waitpid(pid, &status, 0) == pid, "wait");
  removeGroups(&groups);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}

int main(int argc, char** argv) {
  if (argc < 8) return 125;
  const struct Arguments arguments = {.layer = argv[1],
                                      .userNamespace = argv[2],
                                      .group = argv[3],
                                      .bridge = strcmp(argv[4], "-") == 0 ? NULL : argv[4],
                                      .instructions = (unsigned)strtoul(argv[5], NULL, 10),
                                      .time = argv[6],
                                      .program = argv + 7};
  return launch(&arguments);
}
