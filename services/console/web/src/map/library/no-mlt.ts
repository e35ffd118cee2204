/** Stands for MapLibre's decoder of MLT tiles: our map files hold Mapbox Vector Tiles, and the decoder is 20 kB gzipped. */
export class MLTVectorTile {
  constructor() {
    throw new Error("This console reads Mapbox Vector Tiles. Make the map file with that encoding: it holds MLT tiles.");
  }
}
