import { useState } from "react";
import { useRight } from "../session/store";
import { Page, Tabs } from "../ui/page";
import { Contacts } from "./contacts";
import { DeliveryLog } from "./delivery-log";
import { Rules } from "./rules";
import { Servers } from "./servers";

/** What raises alerts, whom they reach outside of the console, and what became of each message. */
export default function Notifications() {
  const may = {
    rules: useRight("alert_rule.list"),
    contacts: useRight("contact.list"),
    log: useRight("notification.list"),
    servers: useRight("notification_settings.read"),
  };
  const tabs = ([["rules", "What raises alerts"], ["contacts", "Who is told"], ["log", "Messages sent"], ["servers", "Mail and SMS"]] as const).filter(([id]) => may[id]);
  const [tab, setTab] = useState<keyof typeof may>(tabs[0]?.[0] ?? "rules");
  return (
    <Page title="Alert rules and contacts">
      <Tabs label="Alert rules and contacts" tabs={tabs} value={tab} onValue={setTab} />
      {tab === "rules" && may.rules && <Rules />}
      {tab === "contacts" && may.contacts && <Contacts />}
      {tab === "log" && may.log && <DeliveryLog />}
      {tab === "servers" && may.servers && <Servers />}
    </Page>
  );
}
