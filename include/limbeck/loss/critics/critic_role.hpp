#ifndef LIMBECK_LOSS_CRITICS_CRITIC_ROLE_HPP
#define LIMBECK_LOSS_CRITICS_CRITIC_ROLE_HPP

/// @file
/// Whose side a loss of a critic takes.

#include <limbeck/core/errors.hpp>

#include <cstdint>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// What rows are to a critic, whose logits are high for what it takes to be real. A critic's objective has the first two, each
/// where its rows stand: `at<"real">(critic_hinge{critic_role::real}) + at<"fake">(critic_hinge{critic_role::fake})`, or in one
/// tensor with a weight a row, `given(is_real) * critic_hinge{critic_role::real} + given(is_fake) * ...`. The generator's has the third.
enum class critic_role : std::uint8_t {
  real,      ///< samples of data, to be judged high
  fake,      ///< samples of a generator, to be judged low
  generator  ///< samples of a generator, which wants them judged high
};

namespace detail {
inline void check_critic_temperature(const char* loss, double temperature) {
  if (temperature != 1)
    raise<value_error>(std::string("limbeck: the logits of a critic in ") + loss + " stand at T = " + show(temperature) + ", expected 1");
}
}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
