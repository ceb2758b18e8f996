// faultzygote.h - a fork server that is killed when it has made a child, before it can tell of it.
#pragma once

/// From here on each fork server that this process starts, being this program, kills itself instead of its second
/// answer, when the child that it has made waits to be born.
void fault_zygote_arm(void);
