// main.swift - a program of the tests: shared locks among forked processes, and a rig that kills them.
//
//   SharedLockRig NAME              plays one scenario: prints "ok", or what was wrong and exits with 1
//   SharedLockRig kill KIND N SEED [MS]
//                                   kills N rounds: prints counts, or what was wrong and exits with 1; who takes no
//                                   step in so many milliseconds hangs
//   SharedLockRig step KIND N SEED  cuts an operation off after up to N of its instructions, one at a time

import Glibc

Program.run(Array(CommandLine.arguments.dropFirst()))
