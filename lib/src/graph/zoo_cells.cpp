#include "graph/zoo_cells.h"

namespace renas {

// The cells as their authors' code has them; for sources see CellRules. AmoebaNet-B's 5x5 with
// holes is without them there.
const std::vector<NamedCells>& named_cells() {
  static const std::vector<NamedCells> all{
      {"renasnet", kRenasNet},
      {"nasnet-a",
       "nasnet/c-1:sep5x5+c-2:sep3x3,c-2:sep5x5+c-2:sep3x3,c-1:avg3x3+c-2:identity,"
       "c-2:avg3x3+c-2:avg3x3,c-1:sep3x3+c-1:identity=c-2+1+2+3+4+5/c-1:sep5x5+c-2:sep7x7,"
       "c-1:max3x3+c-2:sep7x7,c-1:avg3x3+c-2:sep5x5,2:identity+1:avg3x3,"
       "1:sep3x3+c-1:max3x3=2+3+4+5"},
      {"pnasnet-5",
       "pnasnet/c-2:sep5x5+c-2:max3x3,c-1:sep7x7+c-1:max3x3,c-1:sep5x5+c-1:sep3x3,"
       "3:sep3x3+c-1:max3x3,c-2:sep3x3+c-1:identity=1+2+3+4+5"},
      {"amoebanet-a",
       "amoebanet/c-1:avg3x3+c-1:max3x3,c-2:sep3x3+c-2:identity,c-1:identity+c-2:avg3x3,"
       "c-1:sep3x3+1:sep5x5,4:avg3x3+c-1:sep3x3=c-2+2+3+5/c-2:sep3x3+c-1:avg3x3,"
       "c-1:max3x3+1:sep7x7,c-2:max3x3+c-1:max3x3,3:sep3x3+c-1:bottleneck1x7_7x1,"
       "c-2:avg3x3+c-1:sep7x7=1+2+3+4+5"},
      {"amoebanet-b",
       "amoebanet/c-2:conv1x1+c-2:max3x3,c-2:identity+c-1:sep3x3,c-2:conv1x1+c-1:sep3x3,"
       "1:conv1x1+1:identity,c-2:avg3x3+4:conv1x1=c-1+2+3+5/c-1:max2x2+c-1:max3x3,"
       "1:identity+c-2:bottleneck3x3,1:sep5x5+1:max3x3,2:identity+c-2:sep3x3,"
       "3:avg3x3+2:conv1x1=4+5"},
      {"amoebanet-c",
       "amoebanet/c-1:avg3x3+c-1:sep3x3,c-1:identity+c-1:sep3x3,1:avg3x3+c-2:sep3x3,"
       "c-1:identity+c-2:sep3x3,2:avg3x3+c-1:sep3x3=c-2+1+3+4+5/c-1:max3x3+c-1:max3x3,"
       "1:sep7x7+c-1:sep3x3,c-1:sep7x7+c-2:max3x3,3:sep5x5+3:sep5x5,c-2:max3x3+c-2:sep3x3="
       "c-1+1+2+3+4+5"},
      {"amoebanet-d",
       "amoebanet/c-2:conv1x1+c-2:max3x3,c-2:identity+c-1:bottleneck1x7_7x1,"
       "c-1:conv1x1+c-1:bottleneck1x7_7x1,1:max3x3+1:identity,c-2:avg3x3+4:conv1x1="
       "c-1+2+3+5/c-1:max2x2+c-1:max3x3,1:identity+c-2:bottleneck3x3,"
       "1:bottleneck1x7_7x1+1:max3x3,2:identity+c-2:max2x2,1:avg3x3+2:conv1x1=3+4+5"},
      {"enas",
       "enas/c-2:avg3x3+c-2:sep3x3,c-2:identity+c-2:sep5x5,c-2:identity+c-1:sep5x5,"
       "c-1:sep3x3+c-2:sep5x5,c-2:avg3x3+c-1:sep5x5=1+2+3+4+5/c-1:sep3x3+c-1:sep3x3,"
       "c-2:max3x3+c-2:avg3x3,c-1:sep5x5+2:sep5x5,c-1:sep3x3+c-2:identity,"
       "c-2:max3x3+c-1:sep5x5=1+3+4+5"},
      {"darts-v2",
       "darts/c-2:sep3x3+c-1:sep3x3,c-2:sep3x3+c-1:sep3x3,c-1:sep3x3+c-2:identity,"
       "c-2:identity+1:dil3x3=1+2+3+4/c-2:max3x3+c-1:max3x3,1:identity+c-1:max3x3,"
       "c-2:max3x3+1:identity,1:identity+c-1:max3x3=1+2+3+4"},
      {"darts-v1",
       "darts/c-1:sep3x3+c-2:sep3x3,c-2:identity+c-1:sep3x3,c-2:identity+c-1:sep3x3,"
       "c-2:sep3x3+1:identity=1+2+3+4/c-2:max3x3+c-1:max3x3,1:identity+c-2:max3x3,"
       "c-2:max3x3+1:identity,1:identity+c-2:avg3x3=1+2+3+4"},
  };
  return all;
}

}  // namespace renas
