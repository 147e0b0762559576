#ifndef LIMBECK_TESTS_MACROS_TRAPS_HPP
#define LIMBECK_TESTS_MACROS_TRAPS_HPP

// Other people's macros: no identifier of a header of ours may be one. What is given a value here has one where it comes
// from, or stands for nothing; those with parameters strike only where a parenthesis follows.
//
// Not among them, because these are ours: `abs` and `round` of Arduino (a function of packs, and the library's), one-letter
// names such as `F`, `E` and `K` (template parameters), `check`, `require` and `verify` of <AssertMacros.h>.

// <complex.h>, <termios.h>
#undef I
#define I (__extension__ 1.0iF)
#undef B0
#define B0 0000000
#undef min
#define min(a, b) (((a) < (b)) ? (a) : (b))
#undef max
#define max(a, b) (((a) > (b)) ? (a) : (b))

// <windows.h> and what it includes
#undef near
#define near limbeck_test_trap
#undef far
#define far limbeck_test_trap
#undef small
#define small char
#undef hyper
#define hyper limbeck_test_trap
#undef IN
#define IN limbeck_test_trap
#undef OUT
#define OUT limbeck_test_trap
#undef OPTIONAL
#define OPTIONAL limbeck_test_trap
#undef CONST
#define CONST limbeck_test_trap
#undef VOID
#define VOID limbeck_test_trap
#undef TRUE
#define TRUE limbeck_test_trap
#undef FALSE
#define FALSE limbeck_test_trap
#undef ERROR
#define ERROR limbeck_test_trap
#undef NO_ERROR
#define NO_ERROR limbeck_test_trap
#undef DELETE
#define DELETE limbeck_test_trap
#undef STRICT
#define STRICT limbeck_test_trap
#undef IGNORE
#define IGNORE limbeck_test_trap
#undef INFINITE
#define INFINITE limbeck_test_trap
#undef ABSOLUTE
#define ABSOLUTE limbeck_test_trap
#undef RELATIVE
#define RELATIVE limbeck_test_trap
#undef PASCAL
#define PASCAL limbeck_test_trap
#undef CALLBACK
#define CALLBACK limbeck_test_trap
#undef WINAPI
#define WINAPI limbeck_test_trap
#undef interface
#define interface limbeck_test_trap
#undef cdecl
#define cdecl limbeck_test_trap
#undef pascal
#define pascal limbeck_test_trap
#undef rad1
#define rad1 limbeck_test_trap
#undef rad2
#define rad2 limbeck_test_trap
#undef DIFFERENCE
#define DIFFERENCE limbeck_test_trap
#undef OPAQUE
#define OPAQUE limbeck_test_trap
#undef TRANSPARENT
#define TRANSPARENT limbeck_test_trap
#undef GetObject
#define GetObject limbeck_test_trap
#undef GetMessage
#define GetMessage limbeck_test_trap
#undef SendMessage
#define SendMessage limbeck_test_trap
#undef CreateFile
#define CreateFile limbeck_test_trap
#undef DeleteFile
#define DeleteFile limbeck_test_trap
#undef CopyFile
#define CopyFile limbeck_test_trap
#undef MoveFile
#define MoveFile limbeck_test_trap
#undef LoadImage
#define LoadImage limbeck_test_trap
#undef DrawText
#define DrawText limbeck_test_trap
#undef FindText
#define FindText limbeck_test_trap
#undef ReplaceText
#define ReplaceText limbeck_test_trap
#undef StartService
#define StartService limbeck_test_trap
#undef GetClassName
#define GetClassName limbeck_test_trap
#undef GetCurrentTime
#define GetCurrentTime(...) limbeck_test_trap
#undef Yield
#define Yield(...) limbeck_test_trap

// X11
#undef None
#define None limbeck_test_trap
#undef Success
#define Success limbeck_test_trap
#undef Status
#define Status limbeck_test_trap
#undef Bool
#define Bool limbeck_test_trap
#undef True
#define True limbeck_test_trap
#undef False
#define False limbeck_test_trap
#undef Always
#define Always limbeck_test_trap
#undef Above
#define Above limbeck_test_trap
#undef Below
#define Below limbeck_test_trap
#undef Complex
#define Complex limbeck_test_trap
#undef Convex
#define Convex limbeck_test_trap
#undef Nonconvex
#define Nonconvex limbeck_test_trap
#undef Unsorted
#define Unsorted limbeck_test_trap
#undef GrayScale
#define GrayScale limbeck_test_trap
#undef CursorShape
#define CursorShape limbeck_test_trap
#undef FocusIn
#define FocusIn limbeck_test_trap
#undef FocusOut
#define FocusOut limbeck_test_trap
#undef KeyPress
#define KeyPress limbeck_test_trap
#undef KeyRelease
#define KeyRelease limbeck_test_trap
#undef Expose
#define Expose limbeck_test_trap
#undef DestroyAll
#define DestroyAll limbeck_test_trap
#undef AllTemporary
#define AllTemporary limbeck_test_trap
#undef Absolute
#define Absolute limbeck_test_trap

// Qt
#undef signals
#define signals limbeck_test_trap
#undef slots
#define slots limbeck_test_trap
#undef emit
#define emit limbeck_test_trap
#undef foreach
#define foreach(...) limbeck_test_trap
#undef forever
#define forever limbeck_test_trap
#undef SIGNAL
#define SIGNAL(...) limbeck_test_trap
#undef SLOT
#define SLOT(...) limbeck_test_trap
#undef METHOD
#define METHOD(...) limbeck_test_trap

// Arduino
#undef PI
#define PI limbeck_test_trap
#undef HALF_PI
#define HALF_PI limbeck_test_trap
#undef TWO_PI
#define TWO_PI limbeck_test_trap
#undef DEG_TO_RAD
#define DEG_TO_RAD limbeck_test_trap
#undef RAD_TO_DEG
#define RAD_TO_DEG limbeck_test_trap
#undef EULER
#define EULER limbeck_test_trap
#undef SERIAL
#define SERIAL limbeck_test_trap
#undef DISPLAY
#define DISPLAY limbeck_test_trap
#undef LSBFIRST
#define LSBFIRST limbeck_test_trap
#undef MSBFIRST
#define MSBFIRST limbeck_test_trap
#undef CHANGE
#define CHANGE limbeck_test_trap
#undef FALLING
#define FALLING limbeck_test_trap
#undef RISING
#define RISING limbeck_test_trap
#undef DEFAULT
#define DEFAULT limbeck_test_trap
#undef EXTERNAL
#define EXTERNAL limbeck_test_trap
#undef INTERNAL
#define INTERNAL limbeck_test_trap
#undef HIGH
#define HIGH limbeck_test_trap
#undef LOW
#define LOW limbeck_test_trap
#undef INPUT
#define INPUT limbeck_test_trap
#undef OUTPUT
#define OUTPUT limbeck_test_trap
#undef B1
#define B1 limbeck_test_trap
#undef B01
#define B01 limbeck_test_trap
#undef B10
#define B10 limbeck_test_trap
#undef B11
#define B11 limbeck_test_trap
#undef constrain
#define constrain(...) limbeck_test_trap
#undef radians
#define radians(...) limbeck_test_trap
#undef degrees
#define degrees(...) limbeck_test_trap
#undef sq
#define sq(...) limbeck_test_trap
#undef bit
#define bit(...) limbeck_test_trap
#undef bitRead
#define bitRead(...) limbeck_test_trap
#undef bitSet
#define bitSet(...) limbeck_test_trap
#undef bitClear
#define bitClear(...) limbeck_test_trap
#undef bitWrite
#define bitWrite(...) limbeck_test_trap
#undef lowByte
#define lowByte(...) limbeck_test_trap
#undef highByte
#define highByte(...) limbeck_test_trap
#undef interrupts
#define interrupts(...) limbeck_test_trap
#undef _BV
#define _BV(...) limbeck_test_trap

// Objective-C
#undef nil
#define nil limbeck_test_trap
#undef Nil
#define Nil limbeck_test_trap
#undef YES
#define YES limbeck_test_trap
#undef NO
#define NO limbeck_test_trap

// glog, and <ctype.h> of some systems
#undef CHECK
#define CHECK(...) limbeck_test_trap
#undef LOG
#define LOG(...) limbeck_test_trap
#undef DCHECK
#define DCHECK(...) limbeck_test_trap
#undef VLOG
#define VLOG(...) limbeck_test_trap
#undef _U
#define _U limbeck_test_trap
#undef _L
#define _L limbeck_test_trap
#undef _N
#define _N limbeck_test_trap
#undef _S
#define _S limbeck_test_trap
#undef _P
#define _P limbeck_test_trap
#undef _C
#define _C limbeck_test_trap
#undef _X
#define _X limbeck_test_trap
#undef _B
#define _B limbeck_test_trap

#endif
