// A map refers to a projection, which must not end with the expression.
// expect: limbeck: a map has limbeck_map, as unit_rows has; a projection is one where it has a name
#include <limbeck/loss/features/projection.hpp>
#include <limbeck/map/then.hpp>
#include <limbeck/map/unit_rows.hpp>

namespace lk = limbeck;

lk::projection<float> p(3, 4);

void use();
void use() {
#ifdef LIMBECK_CONTROL
  static_cast<void>(lk::then(p, lk::unit_rows{}));
#else
  static_cast<void>(lk::then(lk::projection<float>(3, 4), lk::unit_rows{}));
#endif
}
