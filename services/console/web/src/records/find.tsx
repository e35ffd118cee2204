import { useState } from "react";
import { useRight } from "../session/store";
import { Page, Tabs } from "../ui/page";
import { Button } from "../ui/parts";
import { FootageSearch } from "./footage-search";
import { RecordImports } from "./import";
import { PersonSearch } from "./person-search";
import { PlateReads } from "./plate-reads";
import { VehicleSearch } from "./vehicle-search";
import "./records.css";

type Tab = "reads" | "people" | "vehicles" | "footage";

/** Every search: reads of a plate, people, vehicles, moments in recordings. Each carries purpose and case number. */
export default function Find() {
  const mayReads = useRight("plate_read.search");
  const mayPeople = useRight("person_record.search");
  const mayVehicles = useRight("vehicle_record.search");
  const mayFootage = useRight("footage.search");
  const mayImport = useRight("record_import.start");
  const tabs = [...(mayPeople ? [["people", "People"] as const] : []), ...(mayVehicles ? [["vehicles", "Vehicles"] as const] : []), ...(mayReads ? [["reads", "Plate reads"] as const] : []), ...(mayFootage ? [["footage", "Footage"] as const] : [])];
  const asked = new URLSearchParams(location.search).get("find");
  const [tab, setTab] = useState<Tab>(tabs.find(([id]) => id === asked)?.[0] ?? tabs[0]?.[0] ?? "reads");
  const [importing, setImporting] = useState(false);
  return (
    <Page
      title="Find"
      actions={
        mayImport && (
          <Button onClick={() => setImporting(true)} data-testid="record-imports">
            Imports…
          </Button>
        )
      }
    >
      {tabs.length > 1 && <Tabs label="What to find" tabs={tabs} value={tab} onValue={setTab} />}
      {tab === "people" && mayPeople && <PersonSearch />}
      {tab === "vehicles" && mayVehicles && <VehicleSearch />}
      {tab === "reads" && mayReads && <PlateReads />}
      {tab === "footage" && mayFootage && <FootageSearch />}
      {importing && <RecordImports onClose={() => setImporting(false)} />}
    </Page>
  );
}
