// Paths, levels and guidance keep views of vectors. A new one gets a line, and a type: a compiler says the same of one type once.
// expect: limbeck: a view of this temporary would be kept
// times: 3
#include <limbeck/diffusion.hpp>

#include <array>
#include <vector>

namespace lk = limbeck;

void use(const std::vector<double>& kept, const lk::rows<const float>& x);
void use(const std::vector<double>& kept, const lk::rows<const float>& x) {
  static_cast<void>(kept);
  static_cast<void>(x);
#ifdef LIMBECK_CONTROL
  static_cast<void>(lk::levels(lk::rectified{}, kept));
  static_cast<void>(lk::noise_table(kept));
  static_cast<void>(lk::guided(x, x, kept));
#else
  static_cast<void>(lk::levels(lk::rectified{}, std::vector<double>(3)));
  static_cast<void>(lk::noise_table(std::vector<float>(3)));
  static_cast<void>(lk::guided(x, x, std::array<float, 3>{}));
#endif
}
