// cspool_process.h - processes: fork, exec, pidfd, death signals.
#pragma once
#include <sys/types.h>
