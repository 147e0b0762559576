// The projection's weights and the features have one scalar type.
// expect: limbeck: a map of through(map, loss) that learns has another scalar type than the features
#include <limbeck/limbeck.hpp>
#include <limbeck/loss/features/hint.hpp>
#include <limbeck/loss/features/projected.hpp>

#include <vector>

namespace lk = limbeck;

const std::vector<float> memory(6);
const lk::rows<const float> student(memory.data(), 2, 3), teacher(memory.data(), 2, 3);

void use();
void use() {
#ifdef LIMBECK_CONTROL
  lk::projection<float> p(3, 3);
#else
  lk::projection<double> p(3, 3);
#endif
  lk::objective{lk::projected(p, lk::hint{})}(student, teacher);
}
