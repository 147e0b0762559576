#include "before.hpp"

#include "traps.hpp"

#include <limbeck/diffusion.hpp>
#include <limbeck/limbeck.hpp>
#include <limbeck/ranks.hpp>

// A header of ours that undefined a user's macro would be as rude as one that is broken by it.
#if !defined(I) || !defined(near) || !defined(slots) || !defined(B0) || !defined(small) || !defined(min) || !defined(max)
#error "a Limbeck header, or a standard header missing from before.hpp, has undefined somebody else's macro"
#endif
