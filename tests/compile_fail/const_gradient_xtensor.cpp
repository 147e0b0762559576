// A const tensor in the place of the gradient.
// expect: limbeck: into(gradient) needs a tensor that can be written; this one is const
#include <limbeck/xtensor.hpp>

#include <vector>

namespace lk = limbeck;

const xt::xtensor<float, 2> s(std::array<std::size_t, 2>{2, 3});

void use();
void use() {
#ifdef LIMBECK_CONTROL
  xt::xtensor<float, 2> g = s;
  lk::into(g);
#else
  lk::into(s);
#endif
}
