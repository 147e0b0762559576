// The losses need infinities, NaNs and the order of operations.
// expect: limbeck: -ffast-math removes infinities, NaNs and the order of operations that the losses need
// flags: -ffast-math
#include <limbeck/limbeck.hpp>
