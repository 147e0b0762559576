#ifndef LIMBECK_TESTS_ODR_FLAGS_HPP
#define LIMBECK_TESTS_ODR_FLAGS_HPP

// The same work in two files of one program, compiled for two processors.
#include <limbeck/limbeck.hpp>

#include <limits>
#include <vector>

inline namespace LIMBECK_TEST_FLAGS {

/// KL of a small batch, by all that a call needs; a NaN is put in where @p bad.
inline double work(bool bad) {
  std::vector<float> s(4 * 37, 0.5F), t(4 * 37, 0.25F), g(4 * 37);
  for (std::size_t i = 0; i < s.size(); i += 5) s[i] = 2;
  if (bad) s[40] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<int> labels{1, 2, -100, 3};
  const auto objective = limbeck::cross_entropy{} + limbeck::at_temperature(2.0, limbeck::forward_kl{});
  limbeck::workspace ws;
  return objective(limbeck::rows<const float>(s.data(), 4, 37), limbeck::rows<const float>(t.data(), 4, 37), labels,
                   limbeck::into(limbeck::rows<float>(g.data(), 4, 37)), ws)
      .loss;
}

}  // namespace LIMBECK_TEST_FLAGS

#endif
