// Levels keep a view of the times.
// expect: limbeck: a view of this temporary would be kept, and its memory is gone at the end of the statement; give it a name first
#include <limbeck/diffusion.hpp>
#include <limbeck/limbeck.hpp>

#include <vector>

namespace lk = limbeck;

void use();
void use() {
#ifndef LIMBECK_CONTROL
  (void)lk::levels(lk::rectified{}, std::vector<float>(2));
#else
  const std::vector<float> times(2);
  (void)lk::levels(lk::rectified{}, times);
#endif
}
