// expect: limbeck: a view of this temporary would be kept
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;

void use(const std::vector<float>& weights) {
#ifndef LIMBECK_CONTROL
  (void)lk::given(std::vector<float>{1, 2});
#else
  (void)lk::given(weights);
#endif
}
