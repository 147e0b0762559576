// The losses need infinities, NaNs and the order of operations.
// expect: limbeck: -ffast-math removes infinities, NaNs and the order of operations that the losses need
// flags: -ffinite-math-only
#include <limbeck/limbeck.hpp>
