// A greedy soup whose score wants the parameters, which it finds in their place.
// expect: limbeck: the score of a greedy soup is called without arguments and returns a number
#include <limbeck/averaging/soup.hpp>

#include <vector>

namespace lk = limbeck;

std::vector<float> weights(6);

void use();
void use() {
  const lk::one_rank world;
#ifdef LIMBECK_CONTROL
  (void)lk::greedy_soup(world, weights, 0.5, [] { return weights[0]; });
#else
  (void)lk::greedy_soup(world, weights, 0.5, [](const std::vector<float>& x) { return x[0]; });
#endif
}
