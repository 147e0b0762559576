#ifndef LIMBECK_TESTS_MACROS_TRAPS_HPP
#define LIMBECK_TESTS_MACROS_TRAPS_HPP

// Other people's macros, as <complex.h>, <termios.h> and <windows.h> define them.
#undef I
#define I (__extension__ 1.0iF)
#undef B0
#define B0 0000000
#undef small
#define small char
#undef min
#define min(a, b) (((a) < (b)) ? (a) : (b))
#undef max
#define max(a, b) (((a) > (b)) ? (a) : (b))

#endif
