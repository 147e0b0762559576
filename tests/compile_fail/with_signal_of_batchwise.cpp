// One number a row for a loss that has one a call.
// expect: limbeck: a signal is a setting of losses of rows; an option of a batchwise or composite loss is a number or a schedule
#include <limbeck/limbeck.hpp>

namespace lk = limbeck;

#ifdef LIMBECK_CONTROL
const auto o = lk::with<&lk::dist::beta>(lk::linear(1, 2), lk::dist{});
#else
const auto o = lk::with<&lk::dist::beta>(lk::of_student(lk::entropy{}), lk::dist{});
#endif
