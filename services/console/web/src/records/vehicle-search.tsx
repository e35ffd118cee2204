import { useState } from "react";
import { send } from "../contract/call";
import { useAct } from "../contract/use-call";
import { IdentityService } from "../generated/rtcc/identity/v1/identity_pb";
import { useRight } from "../session/store";
import { Table } from "../ui/page";
import { Button, Field, ProblemNote } from "../ui/parts";
import { PersonRecord } from "./person-record";
import { personName, personOf, vehicleName, vehicleOf } from "./words";

/** The register: by plate or VIN, with the keeper as far as the reader may see. */
export function VehicleSearch() {
  const mayRead = useRight("person_record.read");
  const [plate, setPlate] = useState("");
  const [vin, setVin] = useState("");
  const [openId, setOpenId] = useState<string>();
  const search = useAct(() => send(IdentityService.method.searchVehicleRecords, { plate: plate.replace(/[^A-Z0-9?]/g, ""), vin: vin.trim().toUpperCase(), limit: 20 }, { what: `Register: ${plate || vin}` }), () => setOpenId(undefined));
  return (
    <>
      <form
        className="find-form"
        onSubmit={(event) => {
          event.preventDefault();
          search.mutate(undefined);
        }}
      >
        <Field label="Plate" hint="? stands for one character">
          {(attributes) => <input {...attributes} className="input mono" name="register-plate" required={!vin} maxLength={12} autoFocus autoComplete="off" value={plate} onChange={(event) => setPlate(event.target.value.toUpperCase())} />}
        </Field>
        <Field label="Or VIN">{(attributes) => <input {...attributes} className="input mono" maxLength={17} autoComplete="off" value={vin} onChange={(event) => setVin(event.target.value)} />}</Field>
        <Button type="submit" look="primary" busy={search.isPending} data-testid="vehicle-search">
          Search
        </Button>
      </form>
      <ProblemNote error={search.error} />
      {search.data && (
        <Table
          label="Vehicles"
          rowTestId="vehicle-hit"
          rows={search.data.hits.filter((hit) => vehicleOf(hit.record))}
          rowKey={(hit) => hit.record?.recordId ?? ""}
          empty="No vehicle with that plate in the records you may search."
          columns={[
            { title: "Plate", cell: (hit) => <span className="plate">{vehicleOf(hit.record)?.plate}</span> },
            { title: "State", cell: (hit) => vehicleOf(hit.record)?.state || "unknown" },
            { title: "Vehicle", cell: (hit) => vehicleName(vehicleOf(hit.record) ?? ({} as never)) },
            { title: "VIN", cell: (hit) => (hit.record?.withheld.includes("vin") ? <em className="muted">withheld</em> : <code>{vehicleOf(hit.record)?.vin}</code>) },
            {
              title: "Keeper",
              cell: (hit) => {
                const keeper = hit.keeper ? personName(personOf(hit.keeper)) : vehicleOf(hit.record)?.keeperName;
                const withheld = hit.record?.withheld.some((field) => field.startsWith("keeper"));
                return (
                  <span className="row">
                    {withheld ? <em className="muted">withheld</em> : keeper || "none known"}
                    {hit.keeperWarrants > 0 && <span className="badge" data-tone="act">{hit.keeperWarrants} active warrants</span>}
                    {hit.keeper && mayRead && (
                      <Button size="small" onClick={() => setOpenId(hit.keeper?.recordId)}>
                        Record
                      </Button>
                    )}
                  </span>
                );
              },
            },
          ]}
        />
      )}
      {openId && <PersonRecord key={openId} recordId={openId} onClose={() => setOpenId(undefined)} />}
    </>
  );
}
