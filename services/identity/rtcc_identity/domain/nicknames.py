"""Given names that are used for each other. One line a group: the formal name, then its short and everyday forms, folded."""

from functools import lru_cache

_GROUPS = """
abigail abby gail
abraham abe bram
albert al bert bertie
alexander alex sandy xander sasha aleksandr alejandro aleksi alec
alexandra alex sandra sasha lexi aleksandra alejandra
alfred fred alf fredo
alice ally aliisa alicia
amanda mandy
andrew andy drew andrei andres antti andreas anders
angela angie angelina
ann anna annie nan nancy anne anni anneli ana
anthony tony ant antonio anton toni antoine
antoinette toni nettie
archibald archie
arthur art artie arto arturo
barbara babs barb barbie
benjamin ben benny benji
bernard bernie
beatrice bea trixie
caroline carrie carol lina
catherine cathy kate katie kathy kat katherine kathryn kaisa katja katariina ekaterina catalina trina cat
cecilia cissy silja
charles charlie chuck chaz carlos karl kalle carl kaarlo
charlotte lottie charlie lotta
christina chris tina christine kristina kirsi kristiina chrissy
christopher chris kit topher kristoffer
clarence clare
cynthia cindy
daniel dan danny daniil taneli
david dave davey taavi
deborah deb debbie debra
dennis denny
dominic dom nick
donald don donnie
dorothy dot dottie dolly
douglas doug
edward ed eddie ned ted teddy eduardo eetu
eleanor ellie nell nora ella
elizabeth liz beth betty eliza lizzie lisa elisabet liisa elisa bess libby elsa elisaveta isabel
emily em emmi emma emilia
eric erik rick eero erkki
eugene gene yevgeny
evelyn eve evie
florence flo florrie
frances fran frannie francie
francis frank francisco paco franz frans pancho
frederick fred freddie fritz rick
gabriel gabe
gabrielle gabby
gary gaz
george georgie yrjo jorge georg jyri
gerald gerry jerry
gilbert gil bert
gregory greg gregor reijo
guadalupe lupe
gustav kustaa gus
harold harry hal
helen helena nell lena ellen elena helmi leena
henry harry hank hal heikki enrique henri henrik
herbert herb bert
isaac ike iisakki
isabella bella izzy
ivan vanya john
jacob jake jaakko jacobo yakov
jacqueline jackie
james jim jimmy jamie jaime diego
jane janie janet
janet jan
jeffrey jeff geoff geoffrey
jennifer jen jenny jenni
jeremiah jerry
jessica jess jessie
joan joanie
joanna jo joanne johanna hanna
john jack johnny jon juan johann hans juhani juha jan ian sean jukka johannes ivan
jonathan jon jonny nathan
joseph joe joey jose pepe josef jooseppi iosif
joshua josh
josephine jo josie
judith judy
julia julie juulia
kenneth ken kenny
kevin kev
kimberly kim
kyosti osti
lauri lawrence lasse
lawrence larry laurie lars
leonard leo len lenny
leonardo leo
leslie les
louis lou louie luis
louise lou lulu
lucille lucy
madeline maddie
magdalena lena maddie magda
manuel manny manolo
margaret maggie meg peggy marge greta margie rita daisy marketta margarita margit gretchen madge
maria mary marja mari marie maija
mark marcus markus marko
martha marty mattie martta
martin marty martti
mary polly molly mae
matilda tilly mattie
matthew matt matti mateo matias matthias
maurice morris
maximilian max
megan meg
melissa mel missy
michael mike mick mickey mikko miguel mikael mikhail mikey misha michel
michelle shelly
mildred millie
mohammed mohamed muhammad mohammad mo mehmet
nathaniel nat nate nathan
nicholas nick nicky nikolai klaus niko niklas nicolas claus
nicole nikki
norman norm
oliver ollie olli
olivia liv livvy
pamela pam
patricia pat patty trish tricia
patrick pat paddy rick
paul pablo paavo pauli pavel
penelope penny
peter pete petri pedro pekka pietari petteri pyotr
philip phil pip felipe
rachel rae raakel
ralph rolf
raymond ray
rebecca becky becca rebekka
reginald reg reggie
richard rich rick ricky dick ricardo riku rikhard
robert bob bobby rob robbie bert roberto robin
rodney rod
roger rog
roland rolle rollie
ronald ron ronnie
rose rosie rosa
russell russ
samuel sam sammy samuli
samantha sam
sarah sally sara sadie
sergei serge
stanley stan
stephanie steph
stephen steve steven stefan esteban tapani esteban stevie
stuart stu
susan sue susie susanna suzanne sanna
sylvia sylvie
terence terry
theodore ted teddy theo
theresa terry tess tessa teresa
thomas tom tommy tomas tuomas tuomo
timothy tim timmy timo
tobias toby
ursula ulla
valerie val
veronica ronnie vera
victor vic viktor
victoria vicky tori
vincent vince vinny
virginia ginny ginger
vladimir vova volodya
walter walt wally valtteri
wilhelmina mina billie minna
william bill billy will willy liam ville wilhelm guillermo
yevgenia zhenya
zachary zach zack
"""


@lru_cache(maxsize=1)
def _formal_names() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in _GROUPS.split("\n"):
        words = line.split()
        for word in words:
            found.setdefault(word, set()).add(words[0])
    return {word: frozenset(formal) for word, formal in found.items()}


def formal_names(given: str) -> frozenset[str]:
    """The formal names that a folded given name may stand for; empty: none known."""
    return _formal_names().get(given, frozenset())


def used_for_each_other(a: str, b: str) -> bool:
    """Whether one is a form of the other, or both of a third."""
    return bool(formal_names(a) & formal_names(b))
