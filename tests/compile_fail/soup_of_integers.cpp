// A soup of counters, whose mean would be cut to whole numbers.
// expect: limbeck: integer parameters have no mean; broadcast those of one rank
#include <limbeck/averaging/soup.hpp>

#include <vector>

namespace lk = limbeck;

#ifdef LIMBECK_CONTROL
std::vector<float> counters(6);
#else
std::vector<int> counters(6);
#endif

void use();
void use() { lk::soup(lk::one_rank{}, counters); }
