/** Floor plans laid on the map: one image a plan, stretched between its four corners. */
import type { ImageSource, Map as MapLibre } from "maplibre-gl";
import type { FloorPlan } from "../generated/rtcc/incidents/v1/incidents_pb";

type Corners = [[number, number], [number, number], [number, number], [number, number]];
const BELOW = "fov";

export class PlanLayer {
  private plans: readonly FloorPlan[] = [];
  /** A style that is still loading takes no sources: `restore` adds them. */
  private ready = false;

  constructor(private readonly map: MapLibre) {}

  set(plans: readonly FloorPlan[]): void {
    if (this.ready) for (const plan of this.plans) if (!plans.some((kept) => kept.floorPlanId === plan.floorPlanId)) this.remove(idOf(plan));
    this.plans = plans.filter((plan) => plan.corners.length === 4);
    if (this.ready) for (const plan of this.plans) this.add(plan);
  }

  /** A new style is on its way. */
  suspend(): void {
    this.ready = false;
  }

  /** After a new style, which forgets every source. */
  restore(): void {
    this.ready = true;
    for (const plan of this.plans) this.add(plan);
  }

  private add(plan: FloorPlan): void {
    const id = idOf(plan);
    const coordinates = plan.corners.map((corner) => [corner.longitudeDeg, corner.latitudeDeg]) as Corners;
    const source = this.map.getSource<ImageSource>(id);
    if (source) {
      source.setCoordinates(coordinates);
      return;
    }
    this.map.addSource(id, { type: "image", url: planImage(plan.floorPlanId), coordinates });
    this.map.addLayer({ id, type: "raster", source: id, minzoom: 15, paint: { "raster-opacity": 0.92, "raster-fade-duration": 0 } }, this.map.getLayer(BELOW) ? BELOW : undefined);
  }

  private remove(id: string): void {
    if (this.map.getLayer(id)) this.map.removeLayer(id);
    if (this.map.getSource(id)) this.map.removeSource(id);
  }
}

function idOf(plan: FloorPlan): string {
  return `plan-${plan.floorPlanId}`;
}

export function planImage(floorPlanId: string): string {
  return `${location.origin}/v1/floor-plans/${encodeURIComponent(floorPlanId)}/image`;
}
